import { z } from "zod";
import type { StoredEvent } from "../audit/event.ts";
import { type AgentId, idSchema, newId, type TokenId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { AgentFacts } from "./policy-rows.ts";
import type { BodyView, Parameters, RequestView } from "./request-view.ts";
import type { ExampleCall } from "./trial-schemas.ts";
import type { Tripwire, TriedCall } from "./trial.ts";
import type { PolicyFacts } from "./verdict.ts";

/** How the gateway reads calls; each throws a Problem for what it would refuse. */
export interface CallReading {
  target(url: string): { readonly path: string; readonly query: string };
  query(query: string): Parameters;
  body(bytes: Uint8Array, headers: Headers): BodyView;
}

/** What is known of a connection, as it is configured now. */
export interface ConnectionFacts {
  readonly host: string;
  readonly provider: string | null;
  readonly tier: PolicyFacts["tier"];
  /** What holds for a call that gets as far as its policies, where none matches. */
  readonly otherwise: "allow" | "deny";
}

/** What a tenant has, to look things up in. */
export interface TrialWorld {
  readonly agents: ReadonlyMap<AgentId, AgentFacts>;
  readonly connections: ReadonlyMap<string, ConnectionFacts>;
}

/** A call with what the answer says of it. */
export interface DescribedCall extends TriedCall {
  readonly method: string;
  readonly path: string | null;
  readonly at: number;
  readonly eventId: string | null;
  readonly otherwise: ConnectionFacts["otherwise"] | null;
}

/** What is known of a call, whatever it comes from. What is left out is not known. */
interface Known {
  readonly slug: string;
  readonly method: string;
  readonly path?: string;
  readonly request?: Pick<RequestView, "query" | "headers" | "size" | "body">;
  readonly host?: string;
  readonly agent?: AgentId;
  readonly token?: Partial<NonNullable<PolicyFacts["token"]>>;
  readonly ip?: string;
  readonly now: number;
}

function triedCall(known: Known, world: TrialWorld, eventId: string | null): DescribedCall {
  const { slug, method, path, request, agent, token, ip, now } = known;
  const connection = world.connections.get(slug);
  const host = known.host ?? connection?.host;
  const agentFacts = agent === undefined ? undefined : world.agents.get(agent);
  return {
    ...{ slug, method, path: path ?? null, at: now, eventId },
    otherwise: connection?.otherwise ?? null,
    unknownNames: [
      ...(agent === undefined ? ["agent"] : agentFacts === undefined ? ["name", "trust_tier"] : []),
      ...(ip === undefined ? ["ip"] : []),
      ...(connection === undefined ? ["secret", "provider"] : []),
    ],
    facts: (tripwire) => ({
      subject: "calls",
      request: {
        method,
        get path() {
          return path ?? tripwire.unknown;
        },
        get host() {
          return host ?? tripwire.unknown;
        },
        get query() {
          return request?.query ?? tripwire.unknown;
        },
        get headers() {
          return request?.headers ?? tripwire.unknown;
        },
        get size() {
          return request === undefined ? tripwire.unknown : request.size;
        },
        get body() {
          return request?.body ?? tripwire.unknown;
        },
      },
      asked: null,
      agent: {
        // One that is not known: no condition is asked that could see it. (Nothing random may be drawn as a module loads.)
        id: agent ?? newId("agent"),
        name: agentFacts?.name ?? null,
        trustTier: agentFacts?.trustTier ?? null,
      },
      token: tokenOf(token ?? {}, tripwire),
      connection: { slug, provider: connection?.provider ?? null },
      tier: connection?.tier ?? null,
      ip: ip ?? null,
      now,
    }),
  };
}

function tokenOf(token: NonNullable<Known["token"]>, tripwire: Tripwire): NonNullable<PolicyFacts["token"]> {
  return {
    get id() {
      return token.id ?? tripwire.unknown;
    },
    get scopes() {
      return token.scopes ?? tripwire.unknown;
    },
    get tool() {
      return token.tool === undefined ? tripwire.unknown : token.tool;
    },
    get user() {
      return token.user === undefined ? tripwire.unknown : token.user;
    },
    get context() {
      return token.context ?? tripwire.unknown;
    },
    get issuedAt() {
      return token.issuedAt ?? tripwire.unknown;
    },
    get expiresAt() {
      return token.expiresAt ?? tripwire.unknown;
    },
  };
}

/** The slug that a call's URL names. */
export function slugOf(call: ExampleCall): string {
  return /\/proxy\/([a-z0-9-]+)/.exec(call.url)?.[1] ?? "";
}

/** Throws VALIDATION_ERROR for what the gateway would refuse to read, and for an agent that there is not. */
export function exampleCall(
  call: ExampleCall,
  world: TrialWorld,
  reading: CallReading,
  now: number,
): DescribedCall {
  const slug = slugOf(call);
  const target = reading.target(call.url.startsWith("/") ? `https://gateway${call.url}` : call.url);
  const path = target.path.slice(`/proxy/${slug}`.length) || "/";
  const agent = call.agent === undefined ? undefined : agentOf(call.agent, world);
  const { tool, user, scopes, ip, time } = call;
  return triedCall(
    {
      ...{ slug, method: call.method, path, request: requestOf(call, target.query, reading) },
      ...(agent === undefined ? {} : { agent }),
      token: {
        ...(scopes === undefined ? {} : { scopes }),
        ...(tool === undefined ? {} : { tool }),
        ...(user === undefined ? {} : { user }),
      },
      ...(ip === undefined ? {} : { ip }),
      now: time === undefined ? now : Date.parse(time),
    },
    world,
    null,
  );
}

function agentOf(id: string, { agents }: TrialWorld): AgentId {
  const parsed = idSchema("agent").safeParse(id);
  if (parsed.success && agents.has(parsed.data)) return parsed.data;
  throw new Problem("VALIDATION_ERROR", "agent: is none of the tenant's");
}

function requestOf(call: ExampleCall, query: string, reading: CallReading) {
  let headers: Headers;
  try {
    headers = new Headers(call.headers);
  } catch {
    throw new Problem("VALIDATION_ERROR", "headers: cannot be sent");
  }
  const text = call.json === undefined ? call.body : JSON.stringify(call.json);
  if (call.json !== undefined) headers.set("content-type", "application/json");
  const bytes = Buffer.from(text ?? "", "utf8");
  return {
    query: reading.query(query),
    headers: Object.assign(Object.create(null), Object.fromEntries(headers)),
    size: bytes.byteLength,
    body: reading.body(bytes, headers),
  };
}

/** What the ledger tells of a call. */
const recordSchema = z.object({
  method: z.string(),
  path: z.string(),
  host: z.string().optional(),
  token_id: z.string().optional(),
  tool: z.string().optional(),
  user: z.string().optional(),
});

/** As much of a path as events have (gateway/call.ts). */
const MAX_RECORDED_PATH = 512;

/** Null for an event that tells of no call in particular. Bodies, queries and headers are in none. */
export function recordedCall(event: StoredEvent, world: TrialWorld): DescribedCall | null {
  const parsed = recordSchema.safeParse(event.context);
  const agent = idSchema("agent").safeParse(event.actor.replace(/^agent:/, ""));
  if (!parsed.success || !agent.success) return null;
  const { method, path, host, token_id, tool, user } = parsed.data;
  const isWhole = path.length < MAX_RECORDED_PATH && !path.includes("[token]");
  return triedCall(
    {
      ...{ slug: event.resource, method, agent: agent.data },
      ...(isWhole ? { path } : {}),
      ...(host === undefined ? {} : { host }),
      token: {
        ...(token_id === undefined ? {} : { id: token_id as TokenId }),
        // What the request for the token said of these stands under the same names: only that there is none is sure.
        ...(tool === undefined ? { tool: null } : {}),
        ...(user === undefined ? { user: null } : {}),
      },
      ...(event.ip_address === null ? {} : { ip: event.ip_address }),
      now: Date.parse(event.timestamp),
    },
    world,
    event.id,
  );
}
