import { connect } from "node:net";
import { performance } from "node:perf_hooks";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { reply } from "../support/hostile-upstream.ts";
import { CANARY, codeOf, KINDS, type Lab, openLab } from "./support.ts";

/** What an answer may take on a machine that does other work as well; a catastrophe takes minutes. */
const SOON_MS = 3_000;
const MIB = 1024 * 1024;
/** As many stars as a glob may have: at each character as many ways to go on, for a matcher that tries them all. */
const STARS = "/*a*a*a*a*a*a*a*b";

let lab: Lab;

beforeAll(async () => {
  lab = await openLab(() => ({
    up: {},
    globs: { allow: [{ paths: [STARS, "/fine"] }] },
    body: { credential: { kind: "body", field: "key" } },
    references: { references: ["headers", "query", "body"] },
  }));
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.upstream.requests.length = 0;
  lab.upstream.answer = () => reply("200 OK", [], "ok");
});

/** The work's result, where it came soon; the gateway answers others at the same time and afterwards. */
async function soon<T>(work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const done = work();
  done.catch(() => undefined);
  const other = await lab.send("/proxy/up/other", { timeoutMs: 10_000 });
  expect(other.status).toBe(200);
  const result = await done;
  expect(performance.now() - startedAt).toBeLessThan(SOON_MS);
  return result;
}

describe("attack 88: no expression is catastrophic", () => {
  test("attack 88: globs of a connection and of a token, against a long path", async () => {
    const token = await lab.tenant.token(["connections:call:*a*a*a*a*a*a*a*", "connections:call:up"], {
      allow: [{ connection: "*", paths: [STARS] }],
    });
    const path = `/${"a".repeat(2_000)}`;
    const byConnection = await soon(() => lab.send(`/proxy/globs${path}`));
    expect([byConnection.status, codeOf(byConnection)]).toEqual([403, "SCOPE_DENIED"]);
    const byToken = await soon(() => lab.send(`/proxy/up${path}`, { authorization: `Bearer ${token}` }));
    expect([byToken.status, codeOf(byToken)]).toEqual([403, "SCOPE_DENIED"]);
    expect((await lab.send("/proxy/globs/fine")).status).toBe(200);
  });

  test.each([
    ["a header that nearly matches", "X-Next", `${"https://".repeat(3_000)}<`],
    ["links without an end", "Link", "</".repeat(12_000)],
    ["a refresh of spaces", "Refresh", `0; ${"url ".repeat(3_000)}${" ".repeat(12_000)}x`],
    ["escapes of escapes", "X-Echo", "%25".repeat(8_000)],
    ["a charset behind much space", "Content-Type", `text/plain; charset=${" ".repeat(24_000)}"x`],
    ["a type of many parts", "Content-Type", `text/plain; ${"charset=".repeat(3_000)}x`],
  ])("attack 88: %s in an upstream's answer", async (_what, name, value) => {
    lab.upstream.answer = () => reply("200 OK", [[name, value]], "ok");
    expect((await soon(() => lab.send("/proxy/up/x"))).status).toBe(200);
  });

  test.each([
    ["backslashes", "\\"],
    ["percent signs", "%25"],
    ["half an entity", "&#x0"],
    ["the credential but for its end", CANARY.slice(0, -1)],
    ["wrapped base64", `${"A".repeat(76)}\n`],
  ])("attack 88: a body of 4 MB of %s", async (_what, unit) => {
    lab.upstream.answer = () => reply("200 OK", [], unit.repeat((4 * MIB) / unit.length));
    const answer = await soon(() => lab.send("/proxy/up/x"));
    expect(answer.body.length).toBeGreaterThan(3.9 * MIB);
  });

  test("attack 88: references, keys and parameters that nearly match", async () => {
    const nearly = `vault://${"a/".repeat(4_000)}-`;
    const answers = [
      await soon(() => lab.send("/proxy/references/x", { method: "POST", body: "vault://a".repeat(50_000) })),
      await soon(() => lab.send("/proxy/references/x", { headers: [`X-Ref: ${nearly}`] })),
      await soon(() => lab.send(`/proxy/references/x?${"a;".repeat(6_000)}`)),
    ];
    for (const { status } of answers) expect(status).toBeLessThan(500);
  });
});

describe("attack 89: nothing that is too large, too deep or too slow stops the others", () => {
  const authorization = () => `Bearer ${lab.tenant.admin.credential}`;

  test("attack 89: 10 MB to the API, with a length and without one", async () => {
    const body = `{"name": "${"a".repeat(10 * MIB)}"}`;
    const framed = await soon(() =>
      lab.send("/v1/agents", { method: "POST", body, authorization: authorization() }).catch(() => undefined),
    );
    if (framed !== undefined) expect([framed.status, codeOf(framed)]).toEqual([413, "BODY_TOO_LARGE"]);
    const chunks = `${(2 * MIB).toString(16)}\r\n${" ".repeat(2 * MIB)}\r\n0\r\n\r\n`;
    const headers = ["Transfer-Encoding: chunked", "Content-Type: application/json"];
    const chunked = await soon(() =>
      lab.send("/v1/agents", { method: "POST", headers, body: chunks, authorization: authorization() }),
    );
    expect([chunked.status, codeOf(chunked)]).toEqual([413, "BODY_TOO_LARGE"]);
  });

  test("attack 89: a body that the gateway has to read is bounded as well", async () => {
    const headers = ["Transfer-Encoding: chunked", "Content-Type: application/json"];
    const text = `{"a":"${"a".repeat(2 * MIB)}"}`;
    const body = `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;
    const answer = await soon(() => lab.send("/proxy/body/x", { method: "POST", headers, body }));
    expect([answer.status, codeOf(answer)]).toEqual([413, "BODY_TOO_LARGE"]);
    expect(lab.upstream.requests.map(({ target }) => target)).toEqual(["/other"]);
  });

  test("attack 89: JSON a hundred thousand levels deep", async () => {
    for (const body of ["[".repeat(100_000), `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`]) {
      const managed = await soon(() =>
        lab.send("/v1/agents", { method: "POST", body, authorization: authorization() }),
      );
      expect([managed.status, codeOf(managed)]).toEqual([400, "JSON_TOO_DEEP"]);
      const headers = ["Content-Type: application/json"];
      const called = await soon(() => lab.send("/proxy/body/x", { method: "POST", headers, body }));
      expect([called.status, codeOf(called)]).toEqual([400, "JSON_TOO_DEEP"]);
    }
  });

  test("attack 89: ten thousand headers, ten thousand parameters, a path of 100 kB", async () => {
    const lines = Array.from({ length: 10_000 }, (_line, index) => `X-${index}: 1`);
    for (const call of [
      () => lab.send("/proxy/up/x", { headers: lines }),
      () => lab.send(`/proxy/up/x?${"a=1&".repeat(3_900)}`),
      () => lab.send(`/proxy/up/${"a".repeat(100_000)}`),
      () => lab.send("/v1/me", { headers: lines }),
    ]) {
      const answer = await soon(() => call().catch(() => ({ status: 0 })));
      expect(answer.status).toBeLessThan(500);
    }
  });

  test("attack 89: a hundred clients that send slowly, and upstreams that answer slowly", async () => {
    const port = lab.gateway.ports[0] ?? 0;
    const head = `POST /proxy/up/slow HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${lab.token}\r\nContent-Length: 1000000\r\n\r\n`;
    const sockets = Array.from({ length: 100 }, (_socket, index) => {
      const socket = connect({ port, host: "127.0.0.1" });
      socket.on("error", () => undefined);
      // Some do not even finish their headers.
      socket.write(index % 2 === 0 ? `${head}a` : head.slice(0, 40));
      return socket;
    });
    lab.upstream.answer = ({ target }) =>
      target === "/drip"
        ? { pieces: ["HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", ..."a".repeat(50)], pauseMs: 100 }
        : reply("200 OK", [], "ok");
    // With the 50 above, fewer than a token may have under way.
    const drips = Array.from({ length: 40 }, () => lab.send("/proxy/up/drip").catch(() => undefined));
    try {
      for (let call = 0; call < 5; call++)
        expect((await soon(() => lab.send("/proxy/up/x"))).status).toBe(200);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
    await Promise.all(drips);
  });
});

test("attack 90: a token under fire is refused by itself; others pass, and are as fast", async () => {
  const hot = await lab.tenant.token(["connections:call:up"], { rate: "5/h" });
  const cool = await lab.tenant.issue(["connections:call:up"]);
  const fire = { stopped: false, refused: 0 };
  const attackers = Array.from({ length: 16 }, async () => {
    while (!fire.stopped) {
      const { status } = await lab.send("/proxy/up/x", { authorization: `Bearer ${hot}` });
      if (status === 429) fire.refused++;
    }
  });
  const times: number[] = [];
  for (let call = 0; call < 40; call++) {
    const startedAt = performance.now();
    const answer = await lab.send("/proxy/up/cool", { authorization: `Bearer ${cool.token}` });
    times.push(performance.now() - startedAt);
    expect(answer.status).toBe(200);
  }
  fire.stopped = true;
  await Promise.all(attackers);
  expect(fire.refused).toBeGreaterThan(100);
  expect(times.sort((a, b) => a - b)[20]).toBeLessThan(500);
  expect(await lab.tenant.uses(cool.tokenId)).toBe(40);
  // A flood of refusals is a few lines in the ledger, not as many.
  const { events } = await lab.tenant.admin.must("GET", "/v1/audit?event_type=connection.denied&limit=1000");
  expect(events.length).toBeLessThan(50);
});

describe("attack 91: no configuration sends a secret elsewhere", () => {
  const sensitive = { access_tier: "sensitive" } as const;

  beforeAll(async () => {
    const { tenant, upstream } = lab;
    for (const [name, options] of [
      ["plain", {}],
      ["strict", sensitive],
    ] as const) {
      const path = `test/${name}/KEY`;
      await tenant.putSecret(path, CANARY, { allowed_hosts: [upstream.authority], ...options });
      await tenant.connect(name, { base_url: upstream.url, credential: KINDS.bearer, secret: path });
    }
    await tenant.settled();
  });

  test("attack 91: a base URL moved to another host is refused, and the calls go where they went", async () => {
    for (const name of ["plain", "strict"]) {
      for (const change of [
        { base_url: lab.elsewhere.url },
        { base_url: lab.elsewhere.url, credential: KINDS.header },
        { base_url: `${lab.elsewhere.url}/?` },
      ]) {
        const answer = await lab.tenant.admin.call("PATCH", `/v1/connections/${name}`, { body: change });
        expect(answer.status).toBeGreaterThanOrEqual(400);
      }
      const { base_url } = await lab.tenant.admin.must("GET", `/v1/connections/${name}`);
      expect(base_url).toBe(lab.upstream.url);
    }
    // What reaches a strict secret takes a second person; the other one shows where calls go.
    lab.upstream.requests.length = 0;
    expect((await lab.send("/proxy/plain/x")).status).toBe(200);
    expect(lab.upstream.requests).toHaveLength(1);
    expect(lab.elsewhere.requests).toEqual([]);
  });

  test("attack 91: nobody alone widens where a strict secret goes, lowers its tier, or makes its host another", async () => {
    const hosts = [lab.upstream.authority, lab.elsewhere.authority];
    for (const body of [
      { allowed_hosts: hosts },
      { allowed_hosts: null },
      { access_tier: "standard" },
      { access_tier: "standard", allowed_hosts: hosts },
    ]) {
      const answer = await lab.tenant.admin.call("PUT", "/v1/secrets/test/strict/KEY", { body });
      expect([answer.status, answer.body.error.code]).toEqual([403, "APPROVAL_REQUIRED"]);
    }
    const body = {
      base_url: lab.elsewhere.url,
      credential: KINDS.bearer,
      secret: "test/strict/KEY",
      slug: "out",
    };
    const made = await lab.tenant.admin.call("POST", "/v1/connections", { body });
    expect([made.status, made.body.error.code]).toEqual([403, "DESTINATION_DENIED"]);
  });

  test("attack 91: an agent's token changes no host, no connection and no tier", async () => {
    const scopes = ["secrets:*:test/plain/*", "secrets:*:test/fresh/*", "connections:call:plain"];
    const agent = lab.tenant.as(await lab.tenant.token(scopes));
    const wide = { allowed_hosts: [lab.elsewhere.authority] };
    for (const [method, target, body] of [
      ["PUT", "/v1/secrets/test/plain/KEY", wide],
      ["PUT", "/v1/secrets/test/fresh/KEY", { value: "a value of its own", ...wide }],
      ["PUT", "/v1/secrets/test/plain/KEY", { reveal: "allow" }],
      ["PATCH", "/v1/connections/plain", { base_url: lab.elsewhere.url }],
      [
        "POST",
        "/v1/connections",
        { slug: "out", base_url: lab.elsewhere.url, credential: KINDS.bearer, secret: "test/plain/KEY" },
      ],
    ] as const) {
      const answer = await agent.call(method, target, { body });
      expect([answer.status, answer.body.error.code], target).toEqual([403, "ROLE_DENIED"]);
    }
    expect((await agent.call("GET", "/v1/secrets/test/plain/KEY")).body.error.code).toBe("REVEAL_DENIED");
  });
});
