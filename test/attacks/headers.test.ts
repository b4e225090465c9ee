import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { reply } from "../support/hostile-upstream.ts";
import { sendRaw } from "../support/raw.ts";
import { BROKEN, BROKEN_TEMPLATES, FRAMINGS, INNER } from "./malformed.ts";
import { type CallOptions, CANARY, codeOf, KINDS, type Lab, openLab } from "./support.ts";

let lab: Lab;

beforeAll(async () => {
  lab = await openLab(() => ({
    bearer: {},
    header: { credential: KINDS.header },
    basic: { credential: KINDS.basic },
    ...Object.fromEntries(
      Object.entries(BROKEN).flatMap(([name, value]) => [
        [`bad-${name}`, { value }],
        [`bad-header-${name}`, { value, credential: KINDS.header }],
      ]),
    ),
    "bad-basic": { value: "abcdefgh\r\nX-Evil: 1", credential: KINDS.basic },
  }));
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.upstream.requests.length = 0;
});

/** Names of the headers that arrived, lower case. */
const arrived = () => lab.upstream.last().headers.map(([name]) => name.toLowerCase());

test.each([
  "Connection: authorization",
  "Connection: Authorization, x-api-key",
  "Connection: close, AUTHORIZATION",
  "connection: x-api-key",
  "Connection: via, accept-encoding, host",
  "Proxy-Connection: authorization",
  "Keep-Alive: authorization",
])("attack 30: %s does not take the credential off", async (line) => {
  await lab.send("/proxy/bearer/x", { headers: [line, "X-Other: kept"] });
  expect(lab.upstream.last().header("authorization")).toEqual([`Bearer ${CANARY}`]);
  await lab.send("/proxy/header/x", { headers: [line] });
  expect(lab.upstream.last().header("x-api-key")).toEqual([CANARY]);
  expect(lab.upstream.last().header("via")).toEqual(["1.1 valetkey"]);
});

test("attack 30: what Connection names is left out, and the header itself as well", async () => {
  await lab.send("/proxy/bearer/x", {
    headers: ["Connection: X-Hop, x-hop-too", "X-Hop: 1", "X-Hop-Too: 1", "X-End: 1"],
  });
  expect(arrived()).toContain("x-end");
  for (const name of ["x-hop", "x-hop-too", "connection"]) expect(arrived()).not.toContain(name);
});

describe("one request in is at most one request out", () => {
  test.each(FRAMINGS)("attack 31: %s", async (_what, headers, body) => {
    await lab
      .send("/proxy/bearer/outer", { method: "POST", headers, body, timeoutMs: 3_000 })
      .catch(() => undefined);
    expect(lab.upstream.requests.length).toBeLessThanOrEqual(1);
    for (const request of lab.upstream.requests) {
      expect(request.target).toBe("/outer");
      expect(request.body.toString()).not.toContain("smuggled");
      expect(request.header("content-length").length + request.header("transfer-encoding").length).toBe(1);
      expect(request.head).not.toMatch(/transfer_encoding|xchunked|identity\r/i);
    }
  });

  test("attack 31: the second request on a connection has to show a token of its own", async () => {
    const port = lab.gateway.ports[0] ?? 0;
    const first = `POST /proxy/bearer/outer HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${lab.token}\r\nContent-Length: 3\r\n\r\na=b`;
    const both = await sendRaw({ port, bytes: first + INNER });
    expect(both.status).toBe(200);
    await expect.poll(() => lab.upstream.requests.map(({ target }) => target)).toEqual(["/outer"]);
  });

  test.each([
    ["Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: Upgrade, HTTP2-Settings"],
    ["Expect: 100-continue"],
    ["Expect: 200-maybe"],
    ["TE: trailers", "Trailer: Authorization"],
    ["Transfer-Encoding: chunked", "Trailer: X-Api-Key"],
  ])("attack 31: %s is this hop's and goes no further", async (...headers) => {
    const isChunked = headers[0] === "Transfer-Encoding: chunked";
    const call: CallOptions = isChunked
      ? { method: "POST", headers, body: "3\r\na=b\r\n0\r\nAuthorization: mine\r\nX-Api-Key: mine\r\n\r\n" }
      : { method: "POST", headers, body: "a=b" };
    // An interim answer (100) is all that the raw client waits for.
    const answer = await lab
      .send("/proxy/bearer/x", { ...call, timeoutMs: 1_000 })
      .catch(() => ({ status: 0 }));
    if (answer.status >= 400) return expect(lab.upstream.requests).toEqual([]);
    const names = arrived();
    for (const name of ["upgrade", "http2-settings", "expect", "te", "trailer", "connection"])
      expect(names).not.toContain(name);
    expect(lab.upstream.last().body.toString()).toBe("a=b");
    return expect(lab.upstream.last().header("authorization")).toEqual([`Bearer ${CANARY}`]);
  });
});

test.each([
  ["X-Api-Key: mine"],
  ["x-api-key: mine", "X-API-KEY: mine too"],
  ["X_Api_Key: mine"],
  ["X-Api_Key: mine"],
  ["X.Api.Key: mine"],
])("attack 32: what the agent puts in the credential's header is gone: %s", async (...headers) => {
  await lab.send("/proxy/header/x", { headers });
  const { head } = lab.upstream.last();
  const lines = head.split("\r\n").filter((line) => /^x.api.key:/i.test(line));
  expect(lines.map((line) => line.slice("x-api-key: ".length))).toEqual([CANARY]);
  expect(head).not.toContain("mine");
});

test.each([
  ["Authorization: Bearer mine"],
  ["authorization: Basic bWluZTptaW5l"],
  ["AUTHORIZATION : Bearer mine"],
  ["Authorization_: Bearer mine", "Http_Authorization: Bearer mine"],
])(
  "attack 32: an Authorization of the agent's own never stands beside the real one: %s",
  async (...headers) => {
    const answer = await lab.send("/proxy/bearer/x", {
      authorization: null,
      headers: [`X-Valetkey-Token: ${lab.token}`, ...headers],
    });
    if (answer.status >= 400) return expect(lab.upstream.requests).toEqual([]);
    return expect(lab.upstream.last().header("authorization")).toEqual([`Bearer ${CANARY}`]);
  },
);

describe("attack 33: what cannot stand in a header is never put there", () => {
  test.each(
    Object.keys(BROKEN)
      .flatMap((name) => [`bad-${name}`, `bad-header-${name}`])
      .concat("bad-basic"),
  )("attack 33: a secret with such a character: %s", async (slug) => {
    const answer = await lab.send(`/proxy/${slug}/x`);
    expect([answer.status, codeOf(answer)]).toEqual([409, "SECRET_UNUSABLE"]);
    expect(answer.text).not.toContain("abcdefgh");
    expect(lab.upstream.requests).toEqual([]);
  });

  test.each(BROKEN_TEMPLATES)("attack 33: a template with one: %j", async (credential) => {
    const body = { slug: "evil", base_url: lab.upstream.url, credential, secret: "test/bearer/KEY" };
    const answer = await lab.tenant.admin.call("POST", "/v1/connections", { body });
    expect([answer.status, answer.body.error.code]).toEqual([400, "VALIDATION_ERROR"]);
  });
});

test("attack 34: the agent's credentials, its cookies and how it came here never reach the provider", async () => {
  const { token } = lab;
  const lines = [
    "Proxy-Authorization: Basic cHJveHk6cHJveHk=",
    "Proxy_Authorization: Basic cHJveHk6cHJveHk=",
    `X-Valetkey-Token: ${token}`,
    "X-Valetkey-Anything: 1",
    `X-Api-Key: ${token}`,
    `X-Goog-Api-Key: ${token}`,
    `X-Custom: before ${token} after`,
    `Referer: https://a.example/?key=${token}`,
    "Cookie: CF_Authorization=eyJhbGciOiJub25lIn0.e30.; session=1",
    "Cf-Access-Jwt-Assertion: eyJhbGciOiJub25lIn0.e30.",
    "Cf_Access_Jwt_Assertion: eyJhbGciOiJub25lIn0.e30.",
    "CF-Connecting-IP: 203.0.113.9",
    "CF-Access-Client-Secret: s",
    "X-Forwarded-For: 203.0.113.9",
    "X_Forwarded_For: 203.0.113.9",
    "Forwarded: for=203.0.113.9",
    "X-Real-IP: 203.0.113.9",
    "True-Client-IP: 203.0.113.9",
    "X-Client-IP: 203.0.113.9",
    "X_Cluster_Client_IP: 203.0.113.9",
    "Fastly-Client-IP: 203.0.113.9",
    "Proxy: http://203.0.113.9:3128",
    "MF-CF-Blob: {}",
    "CDN-Loop: cloudflare",
  ];
  const answer = await lab.send("/proxy/bearer/x", {
    headers: [...lines, "X-Kept: yes", "Idempotency-Key: k-1"],
  });
  expect(answer.status).toBe(200);
  const { head } = lab.upstream.last();
  expect(head).not.toContain(token);
  expect(head).not.toMatch(/eyJhbGciOiJub25lIn0|203\.0\.113\.9|cHJveHk|session=1/);
  // Nothing but what is listed here leaves at all.
  expect(arrived().sort()).toEqual([
    "accept-encoding",
    "authorization",
    "host",
    "idempotency-key",
    "via",
    "x-kept",
  ]);
});

test("attack 34: an agent key or an admin's token is no token, and goes nowhere", async () => {
  for (const credential of [lab.tenant.admin.credential, lab.gateway.bootstrapCredential]) {
    expect((await lab.send("/proxy/bearer/x", { authorization: `Bearer ${credential}` })).status).toBe(401);
    await lab.send("/proxy/bearer/x", { headers: [`X-Note: ${credential}`] });
    expect(lab.upstream.last().head).not.toContain(credential);
    lab.upstream.requests.length = 0;
  }
});

test("attack 35: the upstream says nothing about the gateway's own origin", async () => {
  lab.upstream.answer = () =>
    reply(
      "200 OK",
      [
        ["Set-Cookie", "session=evil; Path=/; HttpOnly"],
        ["Set-Cookie", "CF_Authorization=evil"],
        ["Set-Cookie2", "a=b"],
        ["Strict-Transport-Security", "max-age=0"],
        ["Clear-Site-Data", '"*"'],
        ["Service-Worker-Allowed", "/"],
        ["Alt-Svc", 'h2="evil.example:443"'],
        ["Content-Security-Policy", "default-src *"],
        ["X-Content-Type-Options", "sniff"],
        ["NEL", "{}"],
        ["Report-To", "{}"],
        ["Reporting-Endpoints", 'a="https://evil.example"'],
        ["Cache-Control", "public, max-age=86400"],
        ["Expires", "Thu, 01 Jan 2099 00:00:00 GMT"],
        ["X-Valetkey-Error", "UNAUTHORIZED"],
        ["Proxy-Authenticate", "Basic"],
        ["X-Hop", "1"],
        ["Keep-Alive", "x-hop"],
        ["Content-Type", "text/html"],
        ["X-Provider", "kept"],
      ],
      "<script>1</script>",
    );
  const answer = await lab.send("/proxy/bearer/x");
  const gone =
    "set-cookie set-cookie2 strict-transport-security clear-site-data service-worker-allowed alt-svc nel report-to reporting-endpoints expires x-valetkey-error proxy-authenticate keep-alive";
  for (const name of gone.split(" ")) expect(answer.header(name), name).toEqual([]);
  expect(answer.header("cache-control")).toEqual(["no-store"]);
  expect(answer.header("x-content-type-options")).toEqual(["nosniff"]);
  expect(answer.header("content-security-policy")).toEqual(["sandbox; default-src 'none'"]);
  expect(answer.header("x-provider")).toEqual(["kept"]);
  expect(answer.wire.toString()).not.toContain("evil");
});
