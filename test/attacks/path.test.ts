import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { BODY_OVERRIDES, CLIMBS, NO_OVERRIDES, OVERRIDES } from "./paths.ts";
import { CANARY, codeOf, KINDS, type Lab, openLab } from "./support.ts";

let lab: Lab;

beforeAll(async () => {
  lab = await openLab(
    ({ url }) => ({
      // What the agent may do: GET and POST, below /mine/ only.
      up: { allow: [{ methods: ["GET", "POST"], paths: ["/mine/*"] }] },
      open: {},
      based: { base_url: `${url}/tenants/a` },
      key: { credential: KINDS.query },
    }),
    { hosts: ["up"] },
  );
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.upstream.requests.length = 0;
});

/** 0: without an answer. */
const isRefused = ({ status }: { status: number }) => status === 0 || status >= 400;
const targets = () => lab.upstream.requests.map(({ target }) => target);

describe.each(Object.entries(CLIMBS))(
  "attack %s: a path that could be read as another one",
  (number, paths) => {
    test.each(paths.map((path) => [number, path]))("attack %s: %j goes nowhere", async (_number, path) => {
      const ownPort = Number(new URL(lab.gateway.hosts["up"] ?? "").port);
      for (const { target, ...where } of [
        { target: `/proxy/up${path}` },
        // Without rules there is nothing to climb over; what is ambiguous is refused all the same.
        { target: `/proxy/open${path}` },
        { target: path, port: ownPort },
      ]) {
        const answer = await lab.send(target, where);
        expect(answer.status, answer.text).toBe(400);
      }
      expect(targets()).toEqual([]);
    });
  },
);

test("attack 25: an escaped slash stays what it is, one name, where nothing climbs", async () => {
  await lab.send("/proxy/up/mine/group%2fproject/%41%7e?q=%2e%2e/%2F");
  expect(targets()).toEqual(["/mine/group%2Fproject/A~?q=%2e%2e/%2F"]);
});

test("attack 27: targets that no library would send are refused, or are not a connection's", async () => {
  const base = `http://127.0.0.1:${lab.gateway.ports[0]}`;
  const raw = [
    "/v1/../proxy/up/victim",
    "/proxy/../v1/../proxy/up/victim",
    "/%70roxy/up/victim",
    "//proxy/up/victim",
    "/proxy/up/mine/../../up/victim",
    "/proxy/up?/../victim",
    "/proxy/up/victim#/mine/",
    "/proxy/up/victim?/mine/",
    `${base}/proxy/up/mine/../victim`,
    "*",
    "proxy/up/mine/x",
    "?/proxy/up/mine/x",
    "\\proxy\\up\\victim",
  ];
  for (const target of raw) {
    const answer = await lab.send(target).catch(() => ({ status: 0 }));
    expect(isRefused(answer), target).toBe(true);
  }
  expect(targets()).toEqual([]);
});

test("attack 27: what a library normalises before it sends is decided as what it became", async () => {
  const headers = { authorization: `Bearer ${lab.token}` };
  const climbed = await fetch(`${lab.gateway.url}/proxy/up/mine/../victim`, { headers });
  expect(climbed.status).toBe(403);
  const inside = await fetch(`${lab.gateway.url}/proxy/up/mine/a/../b`, { headers });
  expect(inside.status).toBe(200);
  expect(targets()).toEqual(["/mine/b"]);
});

test("attack 23: nothing climbs out of the path of a connection's base URL", async () => {
  for (const path of [
    "/../b/x",
    "/%2e%2e/b/x",
    "/..%2fb",
    "/x/../../b",
    "/.%2e/b",
    "/%252e%252e/b",
    "/..;/b",
    "/..\\b",
  ]) {
    const answer = await lab.send(`/proxy/based${path}`);
    expect([400, 404], path).toContain(answer.status);
  }
  expect(targets()).toEqual([]);
  await lab.send("/proxy/based/b/x");
  expect(targets()).toEqual(["/tenants/a/b/x"]);
});

test.each(OVERRIDES)(
  "attack 28: the method that was checked is the method that is meant: %j",
  async ({ headers = [], target }) => {
    const answer = await lab.send(target ?? "/proxy/up/mine/x", { method: "POST", headers, body: "a=b" });
    expect(answer.status).toBe(400);
    expect(["HEADER_REFUSED", "PATH_REFUSED"]).toContain(codeOf(answer));
    expect(targets()).toEqual([]);
  },
);

describe("attack 28: where methods are narrowed, no field of a body names another one", () => {
  const typed = (type: string | null) => (type === null ? [] : [`Content-Type: ${type}`]);
  const chunks = (body: string) => `${[...body].map((byte) => `1\r\n${byte}\r\n`).join("")}0\r\n\r\n`;

  test.each(BODY_OVERRIDES)("attack 28: %s %j goes nowhere", async (type, body) => {
    const whole = await lab.send("/proxy/up/mine/x", { method: "POST", headers: typed(type), body });
    expect([whole.status, codeOf(whole)]).toEqual([400, "VALIDATION_ERROR"]);
    expect(targets()).toEqual([]);
    // In pieces of a byte, and of a length that nobody announced.
    const headers = [...typed(type), "Transfer-Encoding: chunked"];
    const streamed = await lab.send("/proxy/up/mine/x", { method: "POST", headers, body: chunks(body) });
    expect([streamed.status, codeOf(streamed)]).toEqual([400, "VALIDATION_ERROR"]);
    expect(targets()).toEqual([]);
  });

  test.each(["gzip", "deflate", "br"])(
    "attack 28: a form in %s cannot be read, so it goes nowhere",
    async (coding) => {
      const headers = [...typed("application/x-www-form-urlencoded"), `Content-Encoding: ${coding}`];
      const answer = await lab.send("/proxy/up/mine/x", { method: "POST", headers, body: "a=b" });
      expect([answer.status, codeOf(answer)]).toEqual([400, "VALIDATION_ERROR"]);
      expect(targets()).toEqual([]);
    },
  );

  test("attack 28: a large body is watched to its end and keeps its length", async () => {
    const type = "multipart/form-data; boundary=x";
    const part = (name: string, value: string) =>
      `--x\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
    const file = part("file", "y".repeat(1_500_000));
    const refused = await lab.send("/proxy/up/mine/x", {
      method: "POST",
      headers: typed(type),
      body: `${file}${part("_method", "DELETE")}--x--`,
    });
    // Most of it has left by then: what the upstream has is no whole request.
    expect([refused.status, codeOf(refused)]).toEqual([502, "UPSTREAM_FAILED"]);
    expect(targets()).toEqual([]);
    const body = `${file}${part("method", "DELETE")}--x--`;
    const passed = await lab.send("/proxy/up/mine/x", { method: "POST", headers: typed(type), body });
    expect(passed.status).toBe(200);
    const received = lab.upstream.last();
    expect(received.header("content-length")).toEqual([String(body.length)]);
    expect(received.body.toString("latin1")).toBe(body);
    const unannounced = await lab.send("/proxy/up/mine/x", {
      method: "POST",
      headers: [...typed(type), "Transfer-Encoding: chunked"],
      body: `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
    });
    expect([unannounced.status, codeOf(unannounced)]).toEqual([413, "BODY_TOO_LARGE"]);
  });

  test.each(NO_OVERRIDES)("attack 28: %s %j passes as it came", async (type, body) => {
    for (const framed of [
      { headers: typed(type), body },
      { headers: [...typed(type), "Transfer-Encoding: chunked"], body: chunks(body) },
    ]) {
      const answer = await lab.send("/proxy/up/mine/x", { method: "POST", ...framed });
      expect(answer.status, answer.text).toBe(200);
      expect(lab.upstream.last().body.toString()).toBe(body);
    }
  });

  test("attack 28: a token that is narrowed is held to it where the connection is not", async () => {
    const call = {
      method: "POST",
      headers: typed("application/x-www-form-urlencoded"),
      body: "_method=DELETE",
    };
    const allow = [{ connection: "open", methods: ["POST"] }];
    const narrow = await lab.tenant.token(["connections:call:*"], { allow });
    const refused = await lab.send("/proxy/open/x", { ...call, authorization: `Bearer ${narrow}` });
    expect([refused.status, codeOf(refused)]).toEqual([400, "VALIDATION_ERROR"]);
    expect(targets()).toEqual([]);
    // Any method goes: whatever the body says is the provider's business.
    expect((await lab.send("/proxy/open/x", call)).status).toBe(200);
    const pathsOnly = await lab.tenant.token(["connections:call:*"], {
      allow: [{ connection: "open", paths: ["/x"] }],
    });
    const free = await lab.send("/proxy/open/x", { ...call, authorization: `Bearer ${pathsOnly}` });
    expect(free.status).toBe(200);
  });
});

test("attack 28: a method the connection does not name is refused, in any case and at any length", async () => {
  for (const method of [
    "DELETE",
    "PATCH",
    "PUT",
    "OPTIONS",
    "HEAD",
    "get",
    "Delete",
    "PROPFIND",
    "TRACE",
    "CONNECT",
  ]) {
    const answer = await lab
      .send("/proxy/up/mine/x", { method, timeoutMs: 3_000 })
      .catch(() => ({ status: 0 }));
    expect(isRefused(answer), method).toBe(true);
  }
  expect(targets()).toEqual([]);
});

describe("attack 29: of one key there is one value", () => {
  const injected = `key=${encodeURIComponent(CANARY).replace("'", "%27")}`;
  const own = [
    "key=mine",
    "KEY=mine",
    "%6bey=mine",
    "k%65y=mine",
    "%256bey=mine",
    "key[]=mine",
    "key[0]=mine",
    "+key=mine",
    "key%00=mine",
    "key",
    "a=b;key=mine",
  ];

  test.each(own)("attack 29: the agent's own %j gives way to the credential", async (pair) => {
    await lab.send(`/proxy/key/x?${pair}&keep=1&${pair}`);
    const [target = ""] = targets();
    expect(target.endsWith(`keep=1&${pair.startsWith("a=b") ? "a=b&" : ""}${injected}`)).toBe(true);
    expect(target.slice(0, target.indexOf(injected))).not.toContain("mine");
  });

  test("attack 29: every other key passes byte for byte, duplicates and order included", async () => {
    const query = "amount=1&amount=1000&b=%20+%2B&c&=d&e==f&amount[]=5&keys=1&akey=2&%7e";
    await lab.send(`/proxy/key/x?${query}`);
    expect(targets()).toEqual([`/x?${query}&${injected}`]);
  });

  test("attack 29: what a policy allowed by path is not changed by a query that looks like one", async () => {
    await lab.send("/proxy/up/mine/x?path=/victim&/../victim");
    expect(targets()).toEqual(["/mine/x?path=/victim&/../victim"]);
  });
});
