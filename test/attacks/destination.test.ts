import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { freePorts } from "../../local/ports.ts";
import { hostOf } from "../support/tenant.ts";
import { ELSEWHERE, MISSPELLED } from "./destinations.ts";
import { CANARY, codeOf, KINDS, type Lab, openLab } from "./support.ts";

let lab: Lab;

beforeAll(async () => {
  const ports = await freePorts(1);
  lab = await openLab(
    () => ({
      up: {},
      narrowed: {},
      // The gateway by another name: nothing tells when it is made that it leads back.
      loop: { base_url: `http://localhost:${ports[0]}` },
    }),
    { ports, hosts: ["up"] },
  );
  await lab.tenant.putSecret("test/named/KEY", CANARY, {
    allowed_hosts: ["api.provider.com", lab.upstream.authority],
  });
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.upstream.requests.length = 0;
  lab.elsewhere.requests.length = 0;
});

/** Tries to connect the secret of `up` to a base URL; answers with the refusal's code and text, or `CONNECTED`. */
async function tryToConnect(baseUrl: string, secret = "test/up/KEY"): Promise<string> {
  const body = { slug: "evil", base_url: baseUrl, credential: KINDS.bearer, secret };
  const answer = await lab.tenant.admin.call("POST", "/v1/connections", { body });
  const { code, message } = answer.body.error ?? { code: "CONNECTED", message: baseUrl };
  return `${code}: ${message}`;
}

const fill = (template: string) =>
  template.replaceAll("{host}", lab.upstream.authority).replaceAll("{port}", String(lab.upstream.port));

test.each(MISSPELLED)(
  "attack $attack: no credential is sent to what is spelled $baseUrl",
  async ({ baseUrl }) => {
    expect(await tryToConnect(fill(baseUrl))).toMatch(/^(DESTINATION_DENIED: The base URL|VALIDATION_ERROR)/);
    expect((await lab.tenant.admin.call("GET", "/v1/connections/evil")).status).toBe(404);
  },
);

test.each(ELSEWHERE)(
  "attack $attack: no secret is sent to a host that it does not name: $baseUrl",
  async ({ baseUrl }) => {
    expect(await tryToConnect(fill(baseUrl), "test/named/KEY")).toMatch(/^DESTINATION_DENIED: The secret/);
    expect((await lab.tenant.admin.call("GET", "/v1/connections/evil")).status).toBe(404);
  },
);

test("attack 14: what a name stands for decides nothing: another name of the very address is another host", async () => {
  const { port } = lab.upstream;
  for (const other of ["localhost", "127.0.0.2", "[::1]", "localhost.localdomain", "127.0.0.1.nip.io"]) {
    expect(await tryToConnect(`http://${other}:${port}`), other).toMatch(/^DESTINATION_DENIED/);
  }
  // And the other way round: the secret names what leads here, the connection goes straight to the address.
  await lab.tenant.putSecret("test/alias/KEY", CANARY, { allowed_hosts: [`localhost:${port}`] });
  expect(await tryToConnect(lab.upstream.url, "test/alias/KEY")).toMatch(/^DESTINATION_DENIED: The secret/);
});

test.each([
  "https://api.provider.com:0",
  "https://api.provider.com:00443",
  "https://api.provider.com:65536",
  "https://api.provider.com:443:443",
])("attack 9: %s names no port", async (baseUrl) => {
  expect(await tryToConnect(baseUrl)).toMatch(/^(DESTINATION_DENIED: The base URL|VALIDATION_ERROR)/);
});

test("attack 9: a secret goes to the port that it allows, and to no other of the same host", async () => {
  const { upstream, elsewhere, tenant } = lab;
  expect(await tryToConnect(elsewhere.url)).toContain("DESTINATION_DENIED");
  expect(await tryToConnect("http://127.0.0.1")).toContain("DESTINATION_DENIED");
  expect(await tryToConnect("https://127.0.0.1")).toContain("DESTINATION_DENIED");
  const moved = await tenant.admin.call("PATCH", "/v1/connections/up", { body: { base_url: elsewhere.url } });
  expect([moved.status, moved.body.error.code]).toEqual([403, "DESTINATION_DENIED"]);
  await lab.send("/proxy/up/x");
  expect(upstream.requests).toHaveLength(1);
  expect(elsewhere.requests).toEqual([]);
});

test("attack 9: hosts that a secret no longer allows are refused at the call, whatever was connected", async () => {
  await lab.tenant.putSecret("test/narrowed/KEY", CANARY, { allowed_hosts: ["api.provider.com"] });
  await lab.tenant.settled();
  const answer = await lab.send("/proxy/narrowed/x");
  expect([answer.status, codeOf(answer)]).toEqual([403, "DESTINATION_DENIED"]);
  expect(lab.upstream.requests).toEqual([]);
});

test("attack 8: a secret for https goes nowhere over http, though the host is the same", async () => {
  await lab.tenant.putSecret("test/tls/KEY", CANARY, { allowed_hosts: ["api.provider.com", "127.0.0.1"] });
  for (const baseUrl of ["http://api.provider.com", "http://127.0.0.1", "http://127.0.0.1:80"]) {
    expect(await tryToConnect(baseUrl, "test/tls/KEY"), baseUrl).toContain("DESTINATION_DENIED");
  }
});

describe("attack 1: an agent never says where a call goes", () => {
  const hints = (to: string) => ({
    headers: [
      "X-Upstream",
      "X-Target-Url",
      "X-Forwarded-Host",
      "X-Original-Host",
      "X-Base-Url",
      "Destination",
      "X-Portkey-Custom-Host",
    ].map((name) => `${name}: ${to}`),
    query: ["url", "host", "base_url", "api_base", "target"]
      .map((name) => `${name}=${encodeURIComponent(to)}`)
      .join("&"),
    body: JSON.stringify({ base_url: to, api_base: to, url: to, host: to, proxy: to }),
  });

  test("attack 1: not by a header, the query or the body", async () => {
    for (const to of [lab.elsewhere.url, lab.elsewhere.authority]) {
      const { headers, query, body } = hints(to);
      await lab.send(`/proxy/up/x?${query}`, { method: "POST", headers, body });
    }
    expect(lab.upstream.requests.map(({ header }) => header("host"))).toEqual([
      [lab.upstream.authority],
      [lab.upstream.authority],
    ]);
    expect(lab.elsewhere.requests).toEqual([]);
  });

  test.each([
    "/proxy/{to}/x",
    "/proxy/http://{to}/x",
    "/proxy/up@{to}/x",
    "/proxy/up:{port}/x",
    "/proxy/up/@{to}/x",
    "/proxy/up/http://{to}/x",
    "/proxy/up//{to}/x",
    "/proxy//{to}/x",
    "/proxy/up%2f@{to}/x",
    "/proxy/up\\@{to}/x",
    "/proxy/up\t@{to}/x",
    "/proxy/up#@{to}/x",
    "/proxy/up?@{to}/x",
    "/proxy/up.evil.com/x",
    "/proxy/UP/x",
    "/proxy/up./x",
  ])("attack 1, 2, 4, 5: not by the path: %s", async (template) => {
    const target = template
      .replace("{to}", lab.elsewhere.authority)
      .replace("{port}", String(lab.elsewhere.port));
    await lab.send(target).catch(() => undefined);
    expect(lab.elsewhere.requests).toEqual([]);
    for (const request of lab.upstream.requests)
      expect(request.header("host")).toEqual([lab.upstream.authority]);
  });
});

test("attack 6: an absolute-form target goes where the connection leads, whatever host it names", async () => {
  const { upstream, elsewhere } = lab;
  for (const form of [elsewhere.url, `http://up@${elsewhere.authority}`, "http://evil.example"]) {
    await lab.send(`${form}/proxy/up/x`).catch(() => undefined);
  }
  const unclaimed = await lab.send(`${elsewhere.url}/v1/charges`);
  expect(unclaimed.status).toBeGreaterThanOrEqual(400);
  const twoHosts = await lab
    .send("/proxy/up/x", { headers: [`Host: ${elsewhere.authority}`] })
    .catch(() => ({ status: 0 }));
  expect([0, 200, 400]).toContain(twoHosts.status);
  expect(elsewhere.requests).toEqual([]);
  for (const { target, header } of upstream.requests)
    expect([target, header("host")]).toEqual(["/x", [upstream.authority]]);
});

test("attack 7: the upstream sees its own Host, and no other that the agent names", async () => {
  const names = [
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Server",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Original-Host",
    "X-HTTP-Host-Override",
    "X_Forwarded_Host",
    "Forwarded",
  ];
  await lab.send("/proxy/up/x", { headers: names.map((name) => `${name}: host=evil.example`) });
  const { head, header } = lab.upstream.last();
  expect(header("host")).toEqual([lab.upstream.authority]);
  expect(head).not.toContain("evil");
});

test("attack 7: another Host changes nothing but which connection is meant", async () => {
  for (const host of [lab.elsewhere.authority, "evil.example", `127.0.0.1:${lab.gateway.ports[0]}@evil`]) {
    await lab.send("/proxy/up/x", { host }).catch(() => undefined);
  }
  expect(lab.elsewhere.requests).toEqual([]);
  for (const { header } of lab.upstream.requests) expect(header("host")).toEqual([lab.upstream.authority]);
});

describe("attack 16: the gateway does not call itself", () => {
  test("attack 16: no connection leads to a host that it is known by", async () => {
    const own = [
      lab.gateway.url,
      `${lab.gateway.url}/proxy/up`,
      `${lab.gateway.url}/v1`,
      lab.gateway.hosts["up"] ?? "",
    ];
    await lab.tenant.putSecret("test/self/KEY", CANARY, { allowed_hosts: own.map(hostOf).slice(2) });
    for (const baseUrl of own)
      expect(await tryToConnect(baseUrl, "test/self/KEY")).toContain("DESTINATION_DENIED");
  });

  test("attack 16: a loop by a name it does not know ends at its own door", async () => {
    const answer = await lab.send("/proxy/loop/proxy/up/x");
    expect([answer.status, codeOf(answer)]).toEqual([508, "LOOP_DETECTED"]);
    const again = await lab.send("/proxy/loop/proxy/loop/proxy/up/x", {
      headers: ["Connection: via", "Via: 1.0 other"],
    });
    expect([again.status, codeOf(again)]).toEqual([508, "LOOP_DETECTED"]);
    expect(lab.upstream.requests).toEqual([]);
  });
});
