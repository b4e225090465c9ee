import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Recorded, startUpstream, type Upstream } from "../../local/upstream.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { createTenant, type IssuedToken, type TestTenant } from "../support/tenant.ts";
import { acceptWebSocket, type ServerSocket } from "../support/upstreams/websocket.ts";
import { ENCODINGS } from "./encodings.ts";
import { leaksOf } from "./leaks.ts";
import { CANARY, KINDS } from "./support.ts";

let gateway: Gateway;
let upstream: Upstream;
let tenant: TestTenant;
let issued: IssuedToken;

/** The upstream's end of each socket, and what was said to it. */
let servers: ServerSocket[] = [];
let heard: string[] = [];
let closes: [code: number, reason: string][] = [];
let aborted = 0;
let handshake: Recorded["rawHeaders"] = [];
let onMessage: (text: string, server: ServerSocket) => void = () => undefined;

beforeAll(async () => {
  gateway = await startGateway();
  upstream = await startUpstream({
    port: 0,
    upgrade: (message, socket) => {
      handshake = message.rawHeaders;
      const protocol = message.headers["sec-websocket-protocol"]?.split(",")[0];
      const server = acceptWebSocket(
        message,
        socket,
        (text, end) => {
          heard.push(text);
          onMessage(text, end);
        },
        {
          onClose: (code, reason) => closes.push([code, reason]),
          ...(protocol === undefined ? {} : { protocol }),
        },
      );
      servers.push(server);
    },
  });
  tenant = await createTenant(gateway);
  const allowed = { base_url: upstream.url, credential: KINDS.bearer, websockets: true };
  await tenant.connect("live", { ...allowed, value: CANARY });
  await tenant.connect("minting", { ...allowed, secret: "test/live/KEY", redact: { minted: false } });
  issued = await tenant.issue(["connections:call:*"]);
});
afterAll(async () => {
  await Promise.all([gateway.stop(), upstream.close()]);
});
beforeEach(() => {
  [servers, heard, closes, aborted] = [[], [], [], 0];
  onMessage = () => undefined;
});
const opened: Agent[] = [];
afterEach(async () => {
  for (const { socket, closed } of opened.splice(0)) {
    socket.close();
    await closed;
  }
  await expect.poll(() => closes.length + aborted, { timeout: 5_000 }).toBe(servers.length);
});

interface Agent {
  socket: WebSocket;
  /** Messages as they came: texts, or bytes as Latin-1. */
  received: string[];
  closed: Promise<{ code: number; reason: string }>;
  /** The next message. */
  next(): Promise<string>;
}

async function connect(slug = "live", protocols: string[] = [], token = issued.token): Promise<Agent> {
  const url = `${gateway.url.replace("http", "ws")}/proxy/${slug}/socket`;
  // Node's own client takes headers, which the type of browsers does not know.
  const options = { protocols, headers: { authorization: `Bearer ${token}` } } as unknown as string[];
  const socket = new WebSocket(url, options);
  socket.binaryType = "arraybuffer";
  const received: string[] = [];
  const closed = Promise.withResolvers<{ code: number; reason: string }>();
  socket.addEventListener("message", ({ data }) =>
    received.push(typeof data === "string" ? data : Buffer.from(data as ArrayBuffer).toString("latin1")),
  );
  socket.addEventListener("close", ({ code, reason }) => closed.resolve({ code, reason }));
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener("open", () => resolve());
    socket.addEventListener("error", () => reject(new Error("the handshake failed")));
  });
  await expect.poll(() => servers.length).toBeGreaterThan(0);
  const agent: Agent = {
    socket,
    received,
    closed: closed.promise,
    async next() {
      await expect.poll(() => received.length, { timeout: 5_000, interval: 5 }).toBeGreaterThan(0);
      return received.shift() ?? "";
    },
  };
  opened.push(agent);
  return agent;
}

const server = (): ServerSocket => {
  const last = servers.at(-1);
  if (last === undefined) throw new Error("no socket at the upstream");
  return last;
};

/** What the ledger says of the one call of a token, once it has an outcome. */
async function outcomeOf({ tokenId }: IssuedToken): Promise<Record<string, unknown>> {
  const find = async () => {
    const { events } = await tenant.admin.must("GET", "/v1/audit?event_type=connection.called&limit=20");
    const contexts: Record<string, unknown>[] = events.map((event: { context: unknown }) => event.context);
    return contexts.find((context) => context["token_id"] === tokenId && context["status"] !== undefined);
  };
  await expect.poll(find, { timeout: 15_000, interval: 200 }).toBeDefined();
  return (await find()) ?? {};
}

describe("attack 48: what an upstream says over a WebSocket is redacted", () => {
  test.each(ENCODINGS)("a text message and a binary one with the credential as $name", async ({ encode }) => {
    const agent = await connect();
    const said = `before ${encode(CANARY)} after`;
    for (const message of [said, Buffer.from(said)]) {
      server().send(message);
      const received = await agent.next();
      expect(leaksOf(received, CANARY)).toEqual([]);
      expect(Buffer.byteLength(received)).toBe(Buffer.byteLength(said));
      expect([received.slice(0, 7), received.slice(-6)]).toEqual(["before ", " after"]);
    }
  });

  test("in fragments, and in the echo of what the agent asked for", async () => {
    const agent = await connect();
    server().send(`before ${CANARY} after`, 17);
    expect(await agent.next()).toBe(`before ${"*".repeat(CANARY.length)} after`);
    onMessage = (_text, end) => end.send(handshake.join("\n"));
    agent.socket.send("what did you receive?");
    const echo = await agent.next();
    expect(echo).toContain("Bearer ***");
    expect(leaksOf(echo, CANARY)).toEqual([]);
  });

  test("in the reason it closes with", async () => {
    const agent = await connect();
    server().close(4001, `bad key ${CANARY}`);
    const closed = await agent.closed;
    expect(closed).toEqual({ code: 4001, reason: `bad key ${"*".repeat(CANARY.length)}` });
  });

  test("a name of a subprotocol is handed on", async () => {
    const agent = await connect("live", ["realtime.v1", "other"]);
    expect(agent.socket.protocol).toBe("realtime.v1");
  });

  test("attack 46: tokens and keys of known shapes as well, unless the connection says otherwise", async () => {
    const key = "ghp_a1B2c3D4e5F6a1B2c3D4e5F6a1B2c3D4e5F6";
    const said = JSON.stringify({ access_token: "2YotnFZFEjr1zCsicMWpAA", key });
    const agent = await connect();
    server().send(said);
    expect(JSON.parse(await agent.next())).toEqual({
      access_token: "*".repeat(22),
      key: `ghp_${"*".repeat(36)}`,
    });
    const trusted = await connect("minting");
    server().send(said);
    expect(JSON.parse(await trusted.next())).toEqual({
      access_token: "2YotnFZFEjr1zCsicMWpAA",
      key: `ghp_${"*".repeat(36)}`,
    });
  });
});

test("what an agent says passes as it is, in order, both ways at once", async () => {
  const agent = await connect();
  onMessage = (text, end) => end.send(text.toUpperCase());
  const said = Array.from(
    { length: 300 },
    (_, index) => `${index} vault://test/live/KEY ü€𐍈 ${"x".repeat(index)}`,
  );
  for (const text of said) agent.socket.send(text);
  await expect.poll(() => agent.received.length, { timeout: 10_000 }).toBe(said.length);
  expect(heard).toEqual(said);
  expect(agent.received).toEqual(said.map((text) => text.toUpperCase()));
});

describe("both sides end together", () => {
  test("the agent's code and reason reach the upstream, and the ledger what passed", async () => {
    const once = await tenant.issue(["connections:call:*"]);
    const agent = await connect("live", [], once.token);
    server().send("12345");
    server().send(Buffer.from("678"));
    await agent.next();
    await agent.next();
    agent.socket.close(4100, "done");
    await expect.poll(() => closes, { timeout: 5_000 }).toEqual([[4100, "done"]]);
    expect(await outcomeOf(once)).toMatchObject({ status: 101, bytes: 8 });
    expect(await tenant.uses(once.tokenId)).toBe(1);
  });

  test("the upstream's code and reason reach the agent", async () => {
    const agent = await connect();
    server().close(1000, "bye");
    expect(await agent.closed).toEqual({ code: 1000, reason: "bye" });
    await expect.poll(() => closes.length, { timeout: 5_000 }).toBe(1);
  });

  test("an upstream that breaks off ends the agent's socket with 1011, on the record", async () => {
    const once = await tenant.issue(["connections:call:*"]);
    const agent = await connect("live", [], once.token);
    server().abort();
    aborted = 1;
    expect((await agent.closed).code).toBe(1011);
    expect(await outcomeOf(once)).toMatchObject({ status: 101, error: "BROKEN_OFF" });
  });

  test.each([
    ["a text", (size: number) => "x".repeat(size)],
    ["bytes", (size: number) => Buffer.alloc(size, "x")],
  ])("a message of 1 MiB passes, a longer one of the upstream ends both: %s", async (_what, make) => {
    const agent = await connect();
    server().send(make(1024 * 1024));
    expect((await agent.next()).length).toBe(1024 * 1024);
    server().send(make(1024 * 1024 + 1));
    expect((await agent.closed).code).toBe(1009);
    expect(agent.received).toEqual([]);
    await expect.poll(() => closes.map(([code]) => code), { timeout: 5_000 }).toEqual([1009]);
  });

  test("and a longer one of the agent's", async () => {
    const agent = await connect();
    agent.socket.send("y".repeat(1024 * 1024 + 1));
    expect((await agent.closed).code).toBe(1009);
    expect(heard).toEqual([]);
  });
});
