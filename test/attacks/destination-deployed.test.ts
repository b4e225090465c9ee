import { afterAll, beforeAll, expect, test } from "vitest";
import { hostOf } from "../support/tenant.ts";
import { PRIVATE } from "./destinations.ts";
import { CANARY, codeOf, KINDS, type Lab, openLab, serveAs } from "./support.ts";

/* A deployment: the data of a development gateway, served where none of the development switches is set. */

const DOMAIN = "gw.example.net";
let deployed: Awaited<ReturnType<typeof serveAs>>;
let ground: Lab;
const secrets = new Map<string, string>();

beforeAll(async () => {
  ground = await openLab(() => ({ up: {} }));
  // Secrets that allow each of these hosts themselves: what refuses must be the gateway.
  for (const [index, { baseUrl }] of PRIVATE.entries()) {
    const path = `test/private/K${index}`;
    const body = { value: CANARY, allowed_hosts: [hostOf(baseUrl)] };
    const { status } = await ground.tenant.admin.call("PUT", `/v1/secrets/${path}`, { body });
    secrets.set(baseUrl, status === 201 ? path : "test/up/KEY");
  }
  await ground.tenant.putSecret("test/public/KEY", CANARY, { allowed_hosts: ["api.provider.com"] });
  await ground.gateway.kill();
  deployed = await serveAs(ground.gateway, { GATEWAY_DOMAIN: DOMAIN, MIN_TLS: "terminated" });
});
afterAll(async () => {
  await deployed.stop();
  await ground.close();
});

const ask = (method: string, path: string, body?: object) =>
  fetch(deployed.url + path, {
    method,
    headers: { authorization: `Bearer ${ground.tenant.admin.credential}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
const call = (host: string, target: string) => ground.send(target, { port: deployed.port, host });

test.each(PRIVATE)("attack $attack: it connects nothing to $baseUrl", async ({ baseUrl }) => {
  const body = { slug: "evil", base_url: baseUrl, credential: KINDS.bearer, secret: secrets.get(baseUrl) };
  const answer = await ask("POST", "/v1/connections", body);
  const { error } = await answer.json();
  expect([answer.status, error.code, error.message]).toEqual([
    403,
    "DESTINATION_DENIED",
    expect.stringMatching(/^The base URL/),
  ]);
});

test("attack 8: it connects to a public name over https", async () => {
  const body = {
    slug: "public",
    base_url: "https://api.provider.com",
    credential: KINDS.bearer,
    secret: "test/public/KEY",
  };
  expect((await ask("POST", "/v1/connections", body)).status).toBe(201);
});

test("attack 8, 10: what was connected in development is not called, http and private as it is", async () => {
  const answer = await call(`127.0.0.1:${deployed.port}`, "/proxy/up/x");
  expect([answer.status, codeOf(answer)]).toEqual([403, "DESTINATION_DENIED"]);
  expect(answer.text).toContain("The base URL");
  expect(ground.upstream.requests).toEqual([]);
});

test("attack 15: a host that belongs to no connection reaches no connection", async () => {
  // Told apart from `up`, which is found (and then refused for where it leads).
  expect(codeOf(await call(`up.${DOMAIN}`, "/x"))).toBe("DESTINATION_DENIED");
  const strangers = [
    `up.${DOMAIN}.evil.com`,
    `evil${DOMAIN}`,
    `up-${DOMAIN}`,
    `up.evil${DOMAIN}`,
    `a.up.${DOMAIN}`,
    `up.${DOMAIN}.`,
    DOMAIN,
    "api.stripe.com",
    "up",
    "127.0.0.1",
    "localhost",
  ];
  for (const host of strangers) {
    const answer = await call(host, "/v1/charges");
    expect([answer.status, codeOf(answer)], host).toEqual([404, "NOT_FOUND"]);
  }
  expect(codeOf(await call(`absent.${DOMAIN}`, "/x"))).toBe("NOT_FOUND");
  expect(codeOf(await call("api.stripe.com", "/proxy/absent/x"))).toBe("NOT_FOUND");
  expect(ground.upstream.requests).toEqual([]);
});

test("attack 16: it connects nothing to its own domain", async () => {
  for (const baseUrl of [`https://${DOMAIN}`, `https://up.${DOMAIN}`, `https://a.b.${DOMAIN}/x`]) {
    const answer = await ask("POST", "/v1/connections", {
      slug: "self",
      base_url: baseUrl,
      credential: KINDS.bearer,
      secret: "test/public/KEY",
    });
    expect((await answer.json()).error.message, baseUrl).toContain("leads back to this gateway");
  }
});

test.each([
  ["in production", { PRIVATE_UPSTREAMS: "allow" }, undefined],
  ["in production, even to say no", { ENVIRONMENT: "production", PRIVATE_UPSTREAMS: "deny" }, undefined],
  [
    "in development, reached by a public name",
    { ENVIRONMENT: "development", PRIVATE_UPSTREAMS: "allow" },
    "gateway.example.net",
  ],
])(
  "attack 8, 10: with PRIVATE_UPSTREAMS %s nothing is answered but MISCONFIGURED",
  async (_where, bindings, host) => {
    await deployed.stop();
    deployed = await serveAs(ground.gateway, { MIN_TLS: "terminated", ...bindings });
    for (const target of ["/v1/health", "/v1/connections", "/proxy/up/x"]) {
      const answer = await call(host ?? `127.0.0.1:${deployed.port}`, target);
      expect([answer.status, codeOf(answer)], target).toEqual([500, "MISCONFIGURED"]);
    }
    expect(ground.upstream.requests).toEqual([]);
  },
);
