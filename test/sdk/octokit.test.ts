import { createHash, randomBytes } from "node:crypto";
import { Octokit, RequestError } from "octokit";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { startUpstream, type Upstream } from "../../local/upstream.ts";
import { gitHubEmulation, gitHubError } from "../support/upstreams/github.ts";
import { masked, newCredential, type Stage, setStage } from "../support/upstreams/stage.ts";

const credential = newCredential("ghp_");
const api = gitHubEmulation(credential);
const uploads = gitHubEmulation(credential);
let archives: Upstream;
let stage: Stage;

beforeAll(async () => {
  archives = await startUpstream({ port: 0 });
  api.archiveUrl = archives.url;
  stage = await setStage({
    credential,
    place: { header: "authorization", value: `Bearer ${credential}` },
    connections: {
      github: { provider: "github", emulation: api },
      "github-uploads": { provider: "github", emulation: uploads },
    },
  });
});
afterEach(() => stage.expectSealed());
afterAll(async () => {
  await stage.close();
  await archives.close();
});

const repo = { owner: "octo", repo: "valet" };
const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** octokit.js as an agent sets it up: another base URL, the scoped token for a key; its own waits shortened. */
async function agentClient() {
  const { token, tokenId } = await stage.tenant.issue(["connections:call:github*"]);
  const octokit = new Octokit({
    auth: token,
    baseUrl: `${stage.url}/proxy/github`,
    log: quiet,
    retry: { retryAfterBaseValue: 5 },
    throttle: { enabled: false },
  });
  return { octokit, uses: () => stage.tenant.uses(tokenId) };
}

test("an issue is created and changed, and what the answer repeats of the key is masked", async () => {
  const { octokit, uses } = await agentClient();
  const created = await octokit.rest.issues.create({ ...repo, title: "Lost key", body: "ä → 🔑" });
  expect(created.status).toBe(201);
  expect(created.data).toMatchObject({ title: "Lost key", body: "ä → 🔑", state: "open" });
  expect(created.data.user?.login).toBe(`Bearer ${masked(credential)}`);
  expect(created.headers.location).toBe(
    `${stage.url}/proxy/github/repos/octo/valet/issues/${created.data.number}`,
  );
  const closed = await octokit.rest.issues.update({
    ...repo,
    issue_number: created.data.number,
    state: "closed",
  });
  expect(closed.data.state).toBe("closed");
  expect(stage.requests().map(({ method }) => method)).toEqual(["POST", "PATCH"]);
  expect(await uses()).toBe(2);
});

test("attack 92: pagination follows the links, which the gateway turned to itself, and the token stays here", async () => {
  const { octokit, uses } = await agentClient();
  for (let n = 0; n < 4; n += 1) await octokit.rest.issues.create({ ...repo, title: `Issue ${n}` });
  const before = await uses();
  const first = await octokit.rest.issues.listForRepo({ ...repo, per_page: 2 });
  const target = `${stage.url}/proxy/github/repositories/1300192/issues?per_page=2&page=`;
  expect(first.headers.link).toBe(`<${target}2>; rel="next", <${target}3>; rel="last"`);
  const all = await octokit.paginate(octokit.rest.issues.listForRepo, { ...repo, per_page: 2 });
  expect(all.length).toBeGreaterThanOrEqual(5);
  expect(new Set(all.map(({ number }) => number)).size).toBe(all.length);
  expect(await uses()).toBe(before + 1 + Math.ceil(all.length / 2));
});

test("attack 92: a moved repository is followed to the gateway, not to where the upstream says it is", async () => {
  const { octokit, uses } = await agentClient();
  const { data } = await octokit.rest.repos.get({ owner: "octo", repo: "valet-old" });
  expect(data.full_name).toBe("octo/valet");
  expect(stage.requests().map(({ url }) => url)).toEqual(["/repos/octo/valet-old", "/repositories/1300192"]);
  expect(await uses()).toBe(2);
});

test("a redirect to a path stays below the connection, where the SDK follows it", async () => {
  const { octokit } = await agentClient();
  const { data } = await octokit.rest.repos.get({ owner: "octo", repo: "valet-older" });
  expect(data.full_name).toBe("octo/valet");
  expect(stage.requests().map(({ url }) => url)).toEqual([
    "/repos/octo/valet-older",
    "/repos/octo/valet-old",
    "/repositories/1300192",
  ]);
  const token = await stage.tenant.token(["connections:call:github"]);
  const moved = await fetch(`${stage.url}/proxy/github/repos/octo/valet-older`, {
    headers: { authorization: `Bearer ${token}` },
    redirect: "manual",
  });
  const target = `${stage.url}/proxy/github/repos/octo/valet-old`;
  expect(moved.headers.get("location")).toBe(target);
  expect(moved.headers.get("link")).toBe(`<${target}>; rel="canonical"`);
});

test("an archive at another host is fetched by the SDK itself, without the token and without the credential", async () => {
  const { octokit, uses } = await agentClient();
  await octokit.rest.repos.downloadTarballArchive({ ...repo, ref: "main" });
  expect(archives.requests).toHaveLength(1);
  const [request] = archives.requests;
  expect(request?.url).toBe("/octo/valet/legacy.tar.gz/main");
  expect(request?.rawHeaders.join("\n")).not.toMatch(/authorization|vkt_/i);
  expect(request?.rawHeaders.join("\n")).not.toContain(credential);
  expect(await uses()).toBe(1);
});

test("raw content arrives byte for byte, as JSON it is decoded to the same", async () => {
  const { octokit } = await agentClient();
  const file = { ...repo, path: "README.bin" };
  const response = await octokit.request("GET /repos/{owner}/{repo}/contents/{path}", {
    ...file,
    headers: { accept: "application/vnd.github.raw" },
    request: { parseSuccessResponseBody: false },
  });
  const stream = response.data as unknown as ReadableStream<Uint8Array>;
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  expect(Buffer.concat(chunks).equals(api.content)).toBe(true);

  const { data } = await octokit.rest.repos.getContent(file);
  const encoded = "content" in data ? data.content : "";
  expect(Buffer.from(encoded, "base64").equals(api.content)).toBe(true);
});

test("a release asset is uploaded byte for byte through the connection to the uploads host", async () => {
  const { octokit } = await agentClient();
  const bytes = randomBytes(600_000);
  const { data } = await octokit.rest.repos.uploadReleaseAsset({
    ...repo,
    baseUrl: `${stage.url}/proxy/github-uploads`,
    release_id: 7,
    name: "valet key.tgz",
    // The SDK's types want text; it passes bytes as they are.
    data: bytes as unknown as string,
    headers: { "content-type": "application/gzip" },
  });
  expect(data).toMatchObject({ name: "valet key.tgz", size: bytes.length, content_type: "application/gzip" });
  expect(uploads.digests.get("valet key.tgz")).toBe(createHash("sha256").update(bytes).digest("hex"));
});

test("GraphQL works with variables", async () => {
  const { octokit } = await agentClient();
  const answer = await octokit.graphql<{ viewer: { login: string; bio: string } }>(
    "query ($login: String!) { user(login: $login) { login bio } }",
    { login: "octo" },
  );
  expect(answer.viewer).toMatchObject({ login: "octo", bio: `Bearer ${masked(credential)}` });
});

test("404 and 422 are the SDK's RequestErrors with the provider's words", async () => {
  const { octokit } = await agentClient();
  const missing: unknown = await octokit.rest.repos
    .get({ owner: "octo", repo: "nothing" })
    .catch((thrown: unknown) => thrown);
  if (!(missing instanceof RequestError)) throw new Error("no RequestError");
  expect(missing.status).toBe(404);
  expect(missing.message).toContain("Not Found");
  expect(missing.response?.headers["x-valetkey-error"]).toBeUndefined();

  const invalid: unknown = await octokit.rest.issues
    .create({ ...repo, title: "" })
    .catch((thrown: unknown) => thrown);
  if (!(invalid instanceof RequestError)) throw new Error("no RequestError");
  expect(invalid.status).toBe(422);
  expect(invalid.response?.data).toMatchObject({ errors: [{ field: "title", code: "missing_field" }] });
});

test("the retry plugin repeats after 500 and 502, each try is a use of the token", async () => {
  const { octokit, uses } = await agentClient();
  api.faults.push(
    { status: 500, body: gitHubError("Server Error", 500) },
    { status: 502, body: gitHubError(`Bad Gateway for ${credential}`, 502) },
  );
  const { data } = await octokit.rest.repos.getContent({ ...repo, path: "README.bin" });
  expect(data).toMatchObject({ name: "README.bin" });
  expect(await uses()).toBe(3);
});

test("a token that may only read is refused on a write before anything leaves, and told why", async () => {
  const token = await stage.tenant.token(["connections:call:github"], {
    allow: [{ connection: "github", methods: ["GET"], paths: ["/repos/octo/valet/*"] }],
  });
  const octokit = new Octokit({
    auth: token,
    baseUrl: `${stage.url}/proxy/github`,
    log: quiet,
    throttle: { enabled: false },
  });
  await octokit.rest.issues.listForRepo(repo);
  const error: unknown = await octokit.rest.issues
    .create({ ...repo, title: "x" })
    .catch((thrown: unknown) => thrown);
  if (!(error instanceof RequestError)) throw new Error("no RequestError");
  expect(error.status).toBe(403);
  expect(error.response?.headers["x-valetkey-error"]).toBe("SCOPE_DENIED");
  expect(error.response?.data).toMatchObject({ why: expect.stringContaining("allow") });
  expect(stage.requests().map(({ method }) => method)).toEqual(["GET"]);
});
