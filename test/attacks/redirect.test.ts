import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { reply } from "../support/hostile-upstream.ts";
import { leaksOf } from "./leaks.ts";
import { CANARY, KINDS, type KindName, type Lab, openLab } from "./support.ts";

const names = Object.keys(KINDS) as KindName[];
let lab: Lab;

beforeAll(async () => {
  lab = await openLab(() => Object.fromEntries(names.map((name) => [name, { credential: KINDS[name] }])));
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.upstream.requests.length = 0;
  lab.elsewhere.requests.length = 0;
});

/** The upstream sends whoever calls it to `location`. */
function redirectTo(location: string, status = "302 Found"): void {
  lab.upstream.answer = () => reply(status, [["Location", location]]);
}

describe("a redirect is the agent's to follow", () => {
  const status = [
    "301 Moved Permanently",
    "302 Found",
    "303 See Other",
    "307 Temporary Redirect",
    "308 Permanent Redirect",
  ];
  test.each(status.flatMap((line) => names.map((name) => [line, name] as const)))(
    "attack 17: a %s to another host takes no %s credential there",
    async (line, name) => {
      redirectTo(`${lab.elsewhere.url}/collect`, line);
      const answer = await lab.send(`/proxy/${name}/start`);
      expect(answer.status).toBe(Number(line.slice(0, 3)));
      expect(answer.header("location")).toEqual([`${lab.elsewhere.url}/collect`]);
      expect(lab.upstream.requests).toHaveLength(1);
      expect(lab.elsewhere.requests).toEqual([]);
      expect(leaksOf(answer.wire, CANARY)).toEqual([]);
    },
  );

  test("attack 14: a redirect to another address or name of the same machine is not followed either", async () => {
    for (const host of ["127.0.0.2", "localhost", "[::1]", "0.0.0.0", "127.1"]) {
      redirectTo(`http://${host}:${lab.elsewhere.port}/`);
      expect((await lab.send("/proxy/header/x")).status).toBe(302);
    }
    expect(lab.elsewhere.requests).toEqual([]);
  });

  test.each([
    "http://{host}:{other}/x",
    "https://{host}:{port}/x",
    "//{host}:{other}/x",
    "ftp://{host}:{port}/x",
  ])("attack 18: the same host by another port or scheme is another place: %s", async (template) => {
    const { upstream, elsewhere } = lab;
    const location = template
      .replace("{host}", "127.0.0.1")
      .replace("{port}", String(upstream.port))
      .replace("{other}", String(elsewhere.port));
    redirectTo(location, "307 Temporary Redirect");
    const answer = await lab.send("/proxy/header/x");
    expect(answer.status).toBe(307);
    // Not the connection's own, so it is not made to look as if it were.
    expect(answer.header("location")).toEqual([location]);
    expect(upstream.requests).toHaveLength(1);
    expect(elsewhere.requests).toEqual([]);
  });

  test.each(["307 Temporary Redirect", "308 Permanent Redirect"])(
    "attack 19: a %s does not make the gateway send a body twice",
    async (line) => {
      for (const to of [`${lab.elsewhere.url}/collect`, "/again", `${lab.upstream.url}/again`]) {
        lab.upstream.requests.length = 0;
        redirectTo(to, line);
        const answer = await lab.send("/proxy/bearer/pay", { method: "POST", body: "amount=100" });
        expect(answer.status).toBe(Number(line.slice(0, 3)));
        expect(lab.upstream.requests.map(({ body }) => body.toString())).toEqual(["amount=100"]);
      }
      expect(lab.elsewhere.requests).toEqual([]);
    },
  );

  test("attack 21: a chain that never ends is one request and one answer", async () => {
    redirectTo("/round", "302 Found");
    const answer = await lab.send("/proxy/bearer/round");
    expect([answer.status, answer.header("location")]).toEqual([
      302,
      [`${lab.gateway.url}/proxy/bearer/round`],
    ]);
    expect(lab.upstream.requests).toHaveLength(1);
  });
});

const CARRIERS: readonly (readonly [name: string, value: (secret: string) => string])[] = [
  ["Location", (secret) => `https://else.example/?k=${secret}`],
  ["Location", (secret) => `/done?k=${secret}`],
  ["Location", (secret) => `//else.example/${secret}`],
  ["Content-Location", (secret) => `/v1/${secret}`],
  ["Refresh", (secret) => `0; url=https://else.example/?k=${secret}`],
  ["Refresh", (secret) => `0;URL='/next?k=${secret}'`],
  ["Link", (secret) => `<https://else.example/?k=${secret}&page=2>; rel="next", </?k=${secret}>; rel="last"`],
  ["X-Next-Page", (secret) => `https://else.example/?k=${secret}`],
];

test.each(CARRIERS)("attack 20: %s never carries the credential back (%#)", async (header, value) => {
  const spellings = [encodeURIComponent(CANARY), CANARY, Buffer.from(CANARY).toString("base64url")];
  for (const name of names) {
    for (const spelling of spellings) {
      lab.upstream.answer = () => reply("302 Found", [[header, value(spelling)]]);
      const answer = await lab.send(`/proxy/${name}/x`);
      expect(answer.status).toBe(302);
      expect(answer.header(header).join()).toContain("***");
      expect(leaksOf(answer.wire, CANARY)).toEqual([]);
    }
  }
});

test("attack 22: a credential in the query leaves in no Referer, and the agent's own Referer takes no token along", async () => {
  lab.upstream.answer = ({ target }) =>
    reply("302 Found", [
      ["Location", `http://else.example/from?${target}`],
      ["Link", `<${target}>; rel="self"`],
    ]);
  const own = `${lab.gateway.url}/proxy/query/x?key=${lab.token}`;
  const answer = await lab.send("/proxy/query/x?a=b", { headers: [`Referer: ${own}`] });
  expect(lab.upstream.last().target).toBe(`/x?a=b&key=${encodeURIComponent(CANARY).replace("'", "%27")}`);
  expect(lab.upstream.last().header("referer")).toEqual([]);
  expect(lab.upstream.last().head).not.toContain("vkt_");
  expect(leaksOf(answer.wire, CANARY)).toEqual([]);
  expect(answer.header("referrer-policy")).not.toContain("unsafe-url");
});
