import { randomBytes } from "node:crypto";
import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { ApiError, callApi, findApi } from "./api-client.ts";
import { type Dev, readDev, writeDev } from "./dev-file.ts";
import { StartError } from "./state.ts";
import type { Recorded, Upstream } from "./upstream.ts";

const SECRET = "demo/upstream/API_KEY";
const SCOPE = "connections:call:demo";
const CALL = "/proxy/demo/v1/hello?name=world";

export interface AuditRow {
  seq: number;
  event_type: string;
  resource: string;
  actor: string;
  outcome: string;
  timestamp: string;
  context: Record<string, unknown>;
}

export interface Demo {
  token: string;
  tokenId: string;
  /** Start line and headers, as the agent sent them. */
  sent: string[];
  received: Recorded;
  answer: { status: number; body: string; milliseconds: number };
  events: AuditRow[];
}

export interface DemoOptions {
  /** The gateway. */
  url: string;
  stateDir: string;
  bootstrapCredential: string;
  upstream: Upstream;
}

const text = z.string();
const ok = z.unknown();

/**
 * The gateway's main job, once, through its own door: a secret, a connection, an agent, a scoped token, a call with
 * it, and the trail. What an earlier start made is used again; a second call needs nothing but a new token.
 */
export async function runDemo(options: DemoOptions): Promise<Demo> {
  const startedAt = new Date(Date.now() - 1_000).toISOString();
  let dev = await signIn(options);
  const admin = { url: options.url, credential: dev.admin_token };
  await connect(admin, options.upstream);

  const ask = async (credential: string) =>
    callApi(z.object({ token: text, token_id: text }), {
      url: options.url,
      method: "POST",
      path: "/v1/tokens",
      credential,
      body: { scopes: [SCOPE], ttl: "15m", max_uses: 5, context: { reason: "npm start" } },
    });
  let issued = dev.agent_key === undefined ? undefined : await ask(dev.agent_key).catch(unlessUnknown);
  if (issued === undefined) {
    const agent = await callApi(z.object({ api_key: text }), {
      ...admin,
      method: "POST",
      path: "/v1/agents",
      body: {
        name: `demo-agent-${randomBytes(3).toString("hex")}`,
        description: "Made by npm start",
        allowed_scopes: [SCOPE],
      },
    });
    dev = { ...dev, agent_key: agent.api_key };
    await writeDev(options.stateDir, dev);
    issued = await ask(agent.api_key);
  }

  const before = options.upstream.requests.length;
  const { sent, answer } = await callThrough(options.url, issued.token);
  const received = options.upstream.requests[before];
  if (received === undefined) {
    throw new StartError(
      `GET ${CALL} answered ${answer.status} and never reached the upstream: ${answer.body}`,
    );
  }
  const events = await trail(admin, startedAt);
  return { token: issued.token, tokenId: issued.token_id, sent, received, answer, events };
}

/** An agent key that the gateway does not know (any more) is replaced. */
function unlessUnknown(error: unknown): undefined {
  if (error instanceof ApiError && (error.status === 401 || error.status === 403)) return undefined;
  throw error;
}

/** Spends the bootstrap credential at the first start; later ones have dev.json. */
async function signIn({ url, stateDir, bootstrapCredential }: DemoOptions): Promise<Dev> {
  const known = await readDev(stateDir);
  if (known !== undefined) {
    const dev = { ...known, url };
    if (known.url !== url) await writeDev(stateDir, dev);
    return dev;
  }
  try {
    const made = await callApi(z.object({ admin_token: text }), {
      url,
      method: "POST",
      path: "/v1/bootstrap",
      credential: bootstrapCredential,
      body: { name: "dev" },
    });
    const dev = { url, admin_token: made.admin_token };
    await writeDev(stateDir, dev);
    return dev;
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 409) throw error;
    throw new StartError(
      `${stateDir}/dev.json is missing and the bootstrap credential is spent; restore it from a copy, ` +
        `or remove ${stateDir} to start from nothing`,
    );
  }
}

/** The secret and the connection; both follow the upstream if its port changed. */
async function connect(admin: { url: string; credential: string }, upstream: Upstream): Promise<void> {
  const connection = { method: "GET", path: "/v1/connections/demo" };
  const existing = await findApi(z.object({ base_url: text }), { ...admin, ...connection });
  if (existing !== undefined && new URL(existing.base_url).origin === upstream.url) return;
  await callApi(ok, {
    ...admin,
    method: "PUT",
    path: `/v1/secrets/${SECRET}`,
    body: {
      value: `demo-key-${randomBytes(16).toString("hex")}`,
      secret_type: "api_key",
      allowed_hosts: [`127.0.0.1:${upstream.port}`],
    },
  });
  if (existing === undefined) {
    await callApi(ok, {
      ...admin,
      method: "POST",
      path: "/v1/connections",
      body: { slug: "demo", base_url: upstream.url, credential: { kind: "bearer" }, secret: SECRET },
    });
  } else {
    await callApi(ok, { ...admin, ...connection, method: "PATCH", body: { base_url: upstream.url } });
  }
}

/** The agent's call. `node:http` sends these headers and no others, so what is shown is what was sent. */
function callThrough(url: string, token: string): Promise<Pick<Demo, "sent" | "answer">> {
  const headers = { Host: new URL(url).host, Authorization: `Bearer ${token}`, Accept: "application/json" };
  const sent = [`GET ${CALL}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)];
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const outgoing = request(url + CALL, { headers, agent: false, timeout: 20_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", reject);
      response.once("end", () => {
        const milliseconds = performance.now() - startedAt;
        const body = Buffer.concat(chunks).toString();
        resolve({ sent, answer: { status: response.statusCode ?? 0, body, milliseconds } });
      });
    });
    outgoing.once("timeout", () => outgoing.destroy(new Error("no answer within 20 s")));
    outgoing.once("error", reject);
    outgoing.end();
  });
}

const eventsSchema = z.object({
  events: z.array(
    z.object({
      seq: z.number(),
      event_type: text,
      resource: text.nullish().transform((value) => value ?? ""),
      actor: text.nullish().transform((value) => value ?? ""),
      outcome: text.nullish().transform((value) => value ?? ""),
      timestamp: text,
      context: z.record(z.string(), z.unknown()).default({}),
    }),
  ),
});

/** This start's events in their order. A call's event is in the ledger within 5 s; waits for it so long. */
async function trail(admin: { url: string; credential: string }, since: string): Promise<AuditRow[]> {
  const path = `/v1/audit?start_time=${encodeURIComponent(since)}&limit=50`;
  for (let waited = 0; ; waited += 200) {
    const { events } = await callApi(eventsSchema, { ...admin, method: "GET", path });
    if (events.some((event) => event.event_type === "connection.called") || waited >= 6_000) {
      return events.sort((a, b) => a.timestamp.localeCompare(b.timestamp) || a.seq - b.seq);
    }
    await sleep(200);
  }
}
