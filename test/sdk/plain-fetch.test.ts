import { type IncomingMessage, request as httpRequest } from "node:http";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { header } from "../../local/upstream.ts";
import { type Emulation, emulate, json } from "../support/upstreams/emulation.ts";
import { masked, newCredential, type Stage, setStage } from "../support/upstreams/stage.ts";
import { acceptWebSocket } from "../support/upstreams/websocket.ts";

const credential = newCredential("up_live_");
const place = { header: "x-api-key", value: credential };
const connection = { credential: { kind: "header", name: "X-Api-Key" } };
let stage: Stage;
let token: string;

const sockets: Duplex[] = [];

/** An upstream that answers every call with what it was sent, and every WebSocket message with the same. */
function echoes(): Emulation {
  return {
    ...emulate({ place, refuse: (exchange) => json(exchange, 401, { error: exchange.echo }), calls: {} }),
    upgrade: (message, socket) => {
      sockets.push(socket);
      acceptWebSocket(message, socket, (text, server) => server.send(`you said ${text}`));
    },
  };
}

beforeAll(async () => {
  stage = await setStage({
    credential,
    place,
    connections: {
      up: { ...connection, emulation: echoes(), limits: { max_body_bytes: 1_000_000 } },
      refs: { ...connection, emulation: echoes(), references: ["headers", "query", "body"] },
      ws: { ...connection, emulation: echoes(), websockets: true },
    },
  });
  const allowed_hosts = ["up", "refs"].map((slug) => `127.0.0.1:${stage.upstreams[slug]?.port}`);
  await stage.tenant.putSecret("test/refs/OTHER", referenced, { allowed_hosts });
  token = await stage.tenant.token(["connections:call:*", "secrets:use:test/refs/*"]);
});
afterEach(() => stage.expectSealed());
afterAll(() => stage.close());

interface CallInit extends RequestInit {
  headers?: Record<string, string>;
  duplex?: "half";
}

function call(path: string, init: CallInit = {}) {
  return fetch(`${stage.url}/proxy/${path}`, {
    ...init,
    headers: { authorization: `Bearer ${token}`, ...init.headers },
  });
}

test.each(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])(
  "%s passes as it was sent",
  async (method) => {
    const body = method === "GET" || method === "HEAD" ? null : `{"method":"${method}","n":[1,2.50]}`;
    const response = await call("up/v1/things/%7Eone%2Ftwo?a=1&a=%202&b=&c", {
      method,
      body,
      headers: { "content-type": "application/json", "x-trace": "t 1" },
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(response.headers.get("x-received-credential")).toBe(masked(credential));
    const [request] = stage.requests();
    expect(request).toMatchObject({ method, url: "/v1/things/~one%2Ftwo?a=1&a=%202&b=&c" });
    expect(request?.body.toString()).toBe(body ?? "");
    expect(request && header(request, "x-trace")).toBe("t 1");
    expect(request && header(request, "authorization")).toBeUndefined();
    const text = await response.text();
    expect(method === "HEAD" ? text : JSON.parse(text).you_sent.method).toBe(method === "HEAD" ? "" : method);
  },
);

test("a GET with a body is refused with the reason and costs no use; one that says it is empty passes", async () => {
  const { token: own, tokenId } = await stage.tenant.issue(["connections:call:up"]);
  const send = (body: string) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const headers = { authorization: `Bearer ${own}`, "content-length": body.length };
      const request = httpRequest(`${stage.url}/proxy/up/search`, { headers, agent: false }, resolve);
      request.on("error", reject);
      request.end(body);
    });
  const refused = await send('{"q":1}');
  refused.resume();
  expect([refused.statusCode, refused.headers["x-valetkey-error"]]).toEqual([400, "VALIDATION_ERROR"]);
  expect(await stage.tenant.uses(tokenId)).toBe(0);
  const passed = await send("");
  passed.resume();
  expect(passed.statusCode).toBe(200);
});

test("a call that is decided again, since the configuration moved, carries its body whole", async () => {
  const big = JSON.stringify({ text: "x".repeat(50_000) });
  const chunked = () => new Blob([big]).stream();
  const send = (slug: string) => call(`${slug}/v1/x`, { method: "POST", body: chunked(), duplex: "half" });
  const statuses = async () => (await Promise.all([send("refs"), send("up")])).map(({ status }) => status);
  expect(await statuses()).toEqual([200, 200]);
  // The lease of those calls lapses: the next are decided under it and, beside the charge, told that it is out of date.
  await sleep(5_600);
  await stage.tenant.putSecret("test/other/KEY", newCredential("other"));
  expect(await statuses()).toEqual([200, 200]);
  expect(stage.requests().map(({ body }) => body.toString() === big)).toEqual([true, true, true, true]);
});

/** A value that queries, forms and JSON each escape in their own way. */
const referenced = String.raw`p"w\1+&=?/%: 8c1f6e0d2b`;
const reference = "vault://test/refs/OTHER";

test("a vault:// reference is replaced in a header, a query, a JSON and a form body, escaped for each", async () => {
  const query = `first=1&signing=${encodeURIComponent(reference)}&last=z`;
  const sent = { keep: "ü", nested: [{ password: `Bearer ${reference}` }] };
  const response = await call(`refs/login?${query}`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-signing": `v1 ${reference}` },
    body: JSON.stringify(sent),
  });
  expect(response.status).toBe(200);
  const [request] = stage.requests();
  const received = new URL(request?.url ?? "", "http://upstream").searchParams;
  expect([...received]).toEqual([
    ["first", "1"],
    ["signing", referenced],
    ["last", "z"],
  ]);
  expect(request && header(request, "x-signing")).toBe(`v1 ${referenced}`);
  expect(JSON.parse(request?.body.toString() ?? "")).toEqual({
    keep: "ü",
    nested: [{ password: `Bearer ${referenced}` }],
  });
  expect(request && header(request, "content-length")).toBe(String(request?.body.length));
  // The upstream told all three back; in what came out nothing is left of the value.
  const text = await response.text();
  expect(text).toContain("you_sent");
  expect(text).not.toContain("8c1f6e0d2b");

  await call("refs/form", {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ user: "ada", password: reference }).toString(),
  });
  const form = new URLSearchParams(stage.requests()[1]?.body.toString());
  expect(Object.fromEntries(form)).toEqual({ user: "ada", password: referenced });
});

test("a reference stays text where the connection does not allow it", async () => {
  await call(`up/login?signing=${reference}`, {
    method: "POST",
    body: reference,
    headers: { "x-signing": reference },
  });
  const [request] = stage.requests();
  expect(request?.url).toBe(`/login?signing=${reference}`);
  expect(request?.body.toString()).toBe(reference);
  expect(request && header(request, "x-signing")).toBe(reference);
});

test("a reference that the token may not use is refused before anything leaves, whether the secret exists or not", async () => {
  token = await stage.tenant.token(["connections:call:refs", "secrets:use:test/refs/*"]);
  const ask = async (path: string) => {
    const response = await call("refs/login", { headers: { "x-signing": `vault://${path}` } });
    return [response.status, response.headers.get("x-valetkey-error")];
  };
  expect(await ask("test/up/KEY")).toEqual([403, "SCOPE_DENIED"]);
  expect(await ask("test/none/KEY")).toEqual([403, "SCOPE_DENIED"]);
  expect(await ask("test/refs/NONE")).toEqual([404, "SECRET_NOT_FOUND"]);
  expect(stage.requests()).toEqual([]);
  token = await stage.tenant.token(["connections:call:*", "secrets:use:test/refs/*"]);
});

test("attack 20: a credential in a Location of the connection's own is masked before the URL is respelled", async () => {
  const answer = stage.upstreams["refs"]?.routes ?? [];
  const origin = stage.upstreams["refs"]?.url;
  answer.unshift({
    handle(request, response) {
      response.writeHead(302, {
        location: `${origin}/next/${header(request, "x-signing")}/end`,
        "x-received-credential": credential,
      });
      response.end();
      return true;
    },
  });
  try {
    const response = await call("refs/login", { headers: { "x-signing": reference }, redirect: "manual" });
    expect(response.headers.get("location")).toBe(`${stage.url}/proxy/refs/next/${masked(referenced)}/end`);
  } finally {
    answer.shift();
  }
});

/** A WebSocket handshake by hand (RFC 6455, 4.1): what came back, and what one message was answered with. */
function handshake(slug: string): Promise<{ status: number; error: string | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${stage.url}/proxy/${slug}/socket`, {
      headers: {
        authorization: `Bearer ${token}`,
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": Buffer.alloc(16, 7).toString("base64"),
      },
    });
    const timer = setTimeout(() => request.destroy(new Error("no answer within 10 s")), 10_000);
    request.on("error", reject);
    request.on("close", () => clearTimeout(timer));
    request.on("response", (response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => (body += chunk.toString()));
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          error: response.headers["x-valetkey-error"]?.toString(),
          body,
        }),
      );
    });
    request.on("upgrade", (response, socket) => {
      socket.on("data", (frame: Buffer) => {
        socket.destroy();
        resolve({ status: response.statusCode ?? 0, error: undefined, body: frame.subarray(2).toString() });
      });
      // One masked text frame, "hi", with a mask of zeros.
      socket.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
    });
    request.end();
  });
}

test("attack 48: a WebSocket is refused with the reason where the connection does not let them through", async () => {
  const { status, error, body } = await handshake("up");
  expect({ status, error }).toEqual({ status: 400, error: "HEADER_REFUSED" });
  expect(JSON.parse(body)).toMatchObject({ why: expect.stringContaining("websockets") });
  expect(stage.requests()).toEqual([]);
});

test("a WebSocket passes both ways where the connection lets them through", async () => {
  expect(await handshake("ws")).toEqual({ status: 101, error: undefined, body: "you said hi" });
  // The agent went without a word, and so it does for the upstream.
  await expect.poll(() => sockets.map((socket) => socket.closed), { timeout: 5_000 }).toEqual([true]);
});
