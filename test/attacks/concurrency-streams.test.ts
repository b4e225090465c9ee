import { once } from "node:events";
import { request, type ServerResponse } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Recorded, startUpstream, type Upstream } from "../../local/upstream.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { createTenant, type IssuedToken, type TestAgent, type TestTenant } from "../support/tenant.ts";
import { acceptWebSocket } from "../support/upstreams/websocket.ts";
import { CANARY, KINDS } from "./support.ts";

const OFTEN_MS = 50;

let gateway: Gateway;
let upstream: Upstream;
let tenant: TestTenant;
let victims: TestAgent;
/** Ways to end a token's streams: each has an agent, a connection and a secret of its own, so that all run at once. */
const grounds = new Map<string, TestAgent>();

/** What the upstream has open, by the id in the query, and what ends it. */
const open = new Map<string, () => void>();

beforeAll(async () => {
  gateway = await startGateway();
  upstream = await startUpstream({
    port: 0,
    routes: [{ handle: answer }],
    upgrade: (message, socket) => {
      const id = idOf(message.url);
      open.set(id, () => socket.destroy());
      const server = acceptWebSocket(message, socket, () => undefined, {
        onClose: (code, reason) => closed.set(id, `${code} ${reason}`),
      });
      if (message.url?.includes("chatty")) every(OFTEN_MS, () => server.send("tick"), socket);
      socket.on("close", () => open.delete(id));
    },
  });
  tenant = await createTenant(gateway);
  const common = { base_url: upstream.url, credential: KINDS.bearer, websockets: true };
  await tenant.connect("live", { ...common, value: CANARY });
  await tenant.connect("other", { ...common, value: `${CANARY}-other` });
  await tenant.connect("hasty", {
    ...common,
    secret: "test/live/KEY",
    limits: { response_idle_seconds: 1, websocket_idle_seconds: 1 },
  });
  for (const [index] of WAYS.entries()) {
    await tenant.connect(`way-${index}`, { ...common, value: `${CANARY}-${index}` });
    grounds.set(`way-${index}`, await tenant.agent());
  }
  victims = await tenant.agent();
});
afterAll(async () => {
  await Promise.all([gateway.stop(), upstream.close()]);
});
const opened: Stream[] = [];
afterEach(async () => {
  for (const stream of opened.splice(0)) stream.leave();
  for (const destroy of open.values()) destroy();
  await expect.poll(() => open.size, { timeout: 10_000 }).toBe(0);
});

/** How a WebSocket was closed at the upstream, by the number. */
const closed = new Map<string, string>();
const idOf = (url = "") => /id=([^&]+)/.exec(url)?.[1] ?? "";

function every(
  milliseconds: number,
  run: () => void,
  emitter: { once(event: "close", run: () => void): void },
) {
  const timer = setInterval(run, milliseconds);
  emitter.once("close", () => clearInterval(timer));
}

/** Longer than what is held back. */
const PART = `${"part ".repeat(2_000)}\n`;

function answer({ url }: Recorded, response: ServerResponse): boolean {
  const id = idOf(url);
  open.set(id, () => response.destroy());
  response.once("close", () => open.delete(id));
  const isEvents = url.includes("/events");
  const headers: Record<string, string> = { "content-type": isEvents ? "text/event-stream" : "text/plain" };
  if (url.includes("/small")) headers["content-length"] = "50000";
  if (url.includes("/large")) headers["content-length"] = "100000000";
  response.writeHead(200, headers);
  const part = isEvents ? "data: tick\n\n" : PART;
  response.write(part);
  if (url.includes("flood")) {
    const flood = (): void => {
      while (!response.destroyed && response.write(PART.repeat(20)));
    };
    response.on("drain", flood);
    flood();
  } else if (url.includes("chatty")) every(OFTEN_MS, () => response.write(part), response);
  return true;
}

interface Stream {
  id: string;
  what: string;
  /** Bytes or messages so far. */
  received(): number;
  /** How it ended for the agent. */
  ended: Promise<string>;
  isOver(): boolean;
  leave(): void;
}

let ids = 0;

/** An HTTP stream; `ended` says whether its end was one. `reading: false` takes nothing off the wire. */
async function stream(path: string, token: string, slug = "live", reading = true): Promise<Stream> {
  const id = `${path}/${++ids}`;
  const call = request(`${gateway.url}/proxy/${slug}/${path}?id=${id}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  call.on("error", () => undefined);
  call.end();
  const isSmall = path.startsWith("small");
  const started = once(call, "response");
  const end = Promise.withResolvers<string>();
  let received = 0;
  let isOver = false;
  void end.promise.then(() => (isOver = true));
  const read = started.then(([response]) => {
    response.on("error", () => undefined);
    response.on("close", () =>
      end.resolve(
        response.statusCode === 200
          ? response.complete
            ? "whole"
            : "broken off"
          : String(response.statusCode),
      ),
    );
    if (reading) response.on("data", (bytes: Buffer) => (received += bytes.length));
  });
  // A small answer comes as a whole, when there is a whole one.
  if (isSmall) read.catch(() => undefined);
  else await read;
  if (reading && !isSmall) await expect.poll(() => received, { timeout: 10_000 }).toBeGreaterThan(0);
  await expect.poll(() => open.has(id), { timeout: 10_000 }).toBe(true);
  return keep({
    id,
    what: path,
    received: () => received,
    ended: end.promise,
    isOver: () => isOver,
    leave: () => call.destroy(),
  });
}

/** A WebSocket; `ended` is its code and reason. */
async function socket(path: string, token: string, slug = "live"): Promise<Stream> {
  const id = `ws-${path}/${++ids}`;
  const options = { headers: { authorization: `Bearer ${token}` } } as unknown as string[];
  const client = new WebSocket(
    `${gateway.url.replace("http", "ws")}/proxy/${slug}/${path}?id=${id}`,
    options,
  );
  let received = 0;
  let isOver = false;
  const end = Promise.withResolvers<string>();
  client.addEventListener("message", () => received++);
  client.addEventListener("close", ({ code, reason }) => {
    isOver = true;
    end.resolve(`${code} ${reason}`);
  });
  await new Promise<void>((resolve, reject) => {
    client.addEventListener("open", () => resolve());
    client.addEventListener("error", () => reject(new Error("the handshake failed")));
  });
  return keep({
    id,
    what: `socket ${path}`,
    received: () => received,
    ended: end.promise,
    isOver: () => isOver,
    leave: () => client.close(),
  });
}

function keep(made: Stream): Stream {
  opened.push(made);
  return made;
}

const REVOKED = "1008 the token is not valid any more";
const FROZEN = "1008 all calls are stopped";

/** One of each kind, with how a cut must look to the agent. */
async function streamsOf(
  token: string,
  code: number,
  reason: string,
  slug = "live",
): Promise<[Stream, string][]> {
  return Promise.all([
    stream("chatty", token, slug).then((made): [Stream, string] => [made, "broken off"]),
    stream("silent", token, slug).then((made): [Stream, string] => [made, "broken off"]),
    stream("large/silent", token, slug).then((made): [Stream, string] => [made, "broken off"]),
    stream("small/silent", token, slug).then((made): [Stream, string] => [made, String(code)]),
    stream("events/chatty", token, slug).then((made): [Stream, string] => [made, "broken off"]),
    stream("events/silent", token, slug).then((made): [Stream, string] => [made, "broken off"]),
    socket("chatty", token, slug).then((made): [Stream, string] => [made, reason]),
    socket("silent", token, slug).then((made): [Stream, string] => [made, reason]),
  ]);
}

/** Waits until all are cut, at both ends and as they must be. */
async function expectCut(streams: readonly [Stream, string][]): Promise<void> {
  const ends = await Promise.all(streams.map(async ([{ what, ended }]) => [what, await ended]));
  expect(ends).toEqual(streams.map(([{ what }, how]) => [what, how]));
  await expect
    .poll(() => streams.filter(([{ id }]) => open.has(id)).map(([{ what }]) => what), { timeout: 10_000 })
    .toEqual([]);
  for (const [{ id, what }, how] of streams) {
    if (what.startsWith("socket")) expect(closed.get(id)).toBe(how);
  }
}

/** The errors that the ledger tells of a token's calls, once there are `count` outcomes. */
async function errorsOf({ tokenId }: IssuedToken, count: number): Promise<string[]> {
  const find = async (): Promise<string[]> => {
    const types = ["connection.called", "connection.completed"];
    const pages = await Promise.all(
      types.map((type) => tenant.admin.must("GET", `/v1/audit?event_type=${type}&limit=1000`)),
    );
    const contexts: Record<string, unknown>[] = pages.flatMap(({ events }) =>
      events.map((event: { context: unknown }) => event.context),
    );
    return contexts
      .filter(
        (context) => context["token_id"] === tokenId || String(context["outcome_of"]).startsWith(tokenId),
      )
      .filter((context) => context["status"] !== undefined)
      .map((context) => String(context["error"]));
  };
  await expect.poll(async () => (await find()).length, { timeout: 15_000, interval: 300 }).toBe(count);
  return find();
}

interface Victim {
  readonly agent: TestAgent;
  readonly slug: string;
  readonly token: IssuedToken;
}

const WAYS: readonly (readonly [what: string, end: (victim: Victim) => Promise<unknown>])[] = [
  ["it is revoked by itself", ({ token }) => tenant.admin.must("DELETE", `/v1/tokens/${token.tokenId}`)],
  [
    "it revokes itself through its agent",
    ({ agent, token }) => tenant.as(agent.apiKey).must("DELETE", `/v1/tokens/${token.tokenId}`),
  ],
  ["its agent's are", ({ agent }) => tenant.admin.must("POST", "/v1/tokens/revoke", { agent: agent.id })],
  [
    "its connection's are",
    ({ slug }) => tenant.admin.must("POST", "/v1/tokens/revoke", { connection: slug }),
  ],
  [
    "its secret's are",
    ({ slug }) => tenant.admin.must("POST", "/v1/tokens/revoke", { secret: `test/${slug}/KEY` }),
  ],
  [
    "its agent is disabled",
    ({ agent }) => tenant.admin.must("PATCH", `/v1/agents/${agent.id}`, { disabled: true }),
  ],
];

/** Opens streams of a token and of somebody else's, takes the token's right away, and looks what ends. */
async function loseRight(index: number, end: (victim: Victim) => Promise<unknown>): Promise<void> {
  const slug = `way-${index}`;
  const agent = grounds.get(slug)!;
  const token = await agent.issue([`connections:call:${slug}`]);
  const bystander = await tenant.issue(["connections:call:other"], { ttl: "1h" });
  const others = [
    await stream("chatty", bystander.token, "other"),
    await stream("silent", bystander.token, "other"),
    await socket("chatty", bystander.token, "other"),
  ];
  const streams = await streamsOf(token.token, 401, REVOKED, slug);
  expect(streams.filter(([made]) => made.isOver())).toEqual([]);
  await end({ agent, slug, token });
  await expectCut(streams);
  const before = others.map((other) => other.received());
  await expect.poll(() => others[0]!.received()).toBeGreaterThan(before[0]!);
  await expect.poll(() => others[2]!.received()).toBeGreaterThan(before[2]!);
  expect(others.map((other) => other.isOver())).toEqual([false, false, false]);
  expect(await errorsOf(token, streams.length)).toEqual(streams.map(() => "REVOKED_MIDWAY"));
}

/** Opens streams of a token and revokes three others of its agent's, one after the other, beside them. */
async function keepRight(): Promise<void> {
  const token = await victims.issue(["connections:call:live"]);
  const streams = (await streamsOf(token.token, 401, REVOKED)).map(([made]) => made);
  for (let round = 0; round < 3; round++) {
    const other = await victims.issue(["connections:call:live"]);
    const doomed = await stream("chatty", other.token);
    await tenant.admin.must("DELETE", `/v1/tokens/${other.tokenId}`);
    await expectCut([[doomed, "broken off"]]);
  }
  expect(streams.filter((made) => made.isOver())).toEqual([]);
}

describe("attack 66: a token that loses its right loses its open streams", () => {
  test("attack 66: in whichever way: streams end on both sides, chatty and silent, and nobody else's do", async () => {
    const scenes = WAYS.map(([what, end], index) => [what, loseRight(index, end)] as const);
    const all = [...scenes, ["others of its agent's are, and it is not", keepRight()] as const];
    const done = await Promise.allSettled(all.map(([, scene]) => scene));
    const failed = done.flatMap((each, index) =>
      each.status === "rejected" ? [`${all[index]?.[0]}: ${each.reason}`] : [],
    );
    expect(failed).toEqual([]);
  });

  test("attack 66: the tenant is frozen", async () => {
    const token = await victims.issue(["connections:call:live"]);
    const streams = await streamsOf(token.token, 403, FROZEN);
    await tenant.admin.must("POST", "/v1/freeze", { frozen: true, reason: "a test" });
    await expectCut(streams);
    await tenant.admin.call("POST", "/v1/freeze", {
      body: { frozen: false, reason: "a test" },
      headers: { prefer: "wait" },
    });
    expect(await errorsOf(token, streams.length)).toEqual(streams.map(() => "TENANT_FROZEN"));
  });
});

describe("a WebSocket ends with its token, an answer that began in time does not", () => {
  test("by expiry", async () => {
    const token = await victims.issue(["connections:call:live"], { ttl: "3s" });
    const [chatty, silent, answered] = await Promise.all([
      socket("chatty", token.token),
      socket("silent", token.token),
      stream("chatty", token.token),
    ]);
    await expectCut([
      [chatty, "1008 the token has expired"],
      [silent, "1008 the token has expired"],
    ]);
    const before = answered.received();
    await expect.poll(() => answered.received()).toBeGreaterThan(before);
    expect(answered.isOver()).toBe(false);
    answered.leave();
    expect((await errorsOf(token, 3)).toSorted()).toEqual(["BROKEN_OFF", "TOKEN_EXPIRED", "TOKEN_EXPIRED"]);
  });
});

describe("what stands still is ended", () => {
  test("an upstream that falls silent in the middle of its answer, and one that does not", async () => {
    const token = await victims.issue(["connections:call:hasty"]);
    const chatty = await stream("chatty", token.token, "hasty");
    const talking = await socket("chatty", token.token, "hasty");
    await expectCut([
      [await stream("silent", token.token, "hasty"), "broken off"],
      [await stream("large/silent", token.token, "hasty"), "broken off"],
      [await stream("events/silent", token.token, "hasty"), "broken off"],
      [await stream("small/silent", token.token, "hasty"), "504"],
      [await socket("silent", token.token, "hasty"), "1001 nothing was said for too long"],
    ]);
    expect([chatty.isOver(), talking.isOver()]).toEqual([false, false]);
    chatty.leave();
    talking.leave();
    expect((await errorsOf(token, 7)).toSorted()).toEqual([
      "BROKEN_OFF",
      "UPSTREAM_IDLE",
      "UPSTREAM_IDLE",
      "UPSTREAM_IDLE",
      "UPSTREAM_IDLE",
      "WEBSOCKET_IDLE",
      "undefined",
    ]);
  });

  test("an agent that takes nothing", async () => {
    const token = await victims.issue(["connections:call:hasty"]);
    const stuck = await stream("flood", token.token, "hasty", false);
    await expect.poll(() => open.has(stuck.id), { timeout: 15_000 }).toBe(false);
    expect(await errorsOf(token, 1)).toEqual(["AGENT_IDLE"]);
  });
});
