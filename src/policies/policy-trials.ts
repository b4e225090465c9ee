import type { AuditLog } from "../audit/audit.ts";
import type { StoredEvent } from "../audit/event.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { newId, type TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { Connections } from "../connections/connections.ts";
import type { StrictSecret } from "../vault/strict-secrets.ts";
import { draftOf } from "./policies.ts";
import { readPolicies } from "./policy-rows.ts";
import type { Policy } from "./policy.ts";
import type { PolicyCreate } from "./schemas.ts";
import {
  type CallReading,
  type ConnectionFacts,
  type DescribedCall,
  exampleCall,
  recordedCall,
  slugOf,
  type TrialWorld,
} from "./trial-calls.ts";
import type { RecordedTrial, Trial } from "./trial-schemas.ts";
import { isChanged, type Outcome, TooCostly, Trials } from "./trial.ts";
import type { PolicyFacts } from "./verdict.ts";

export interface PolicyTrialsParts {
  readonly db: Database;
  readonly audit: Pick<AuditLog, "query">;
  readonly connections: Pick<Connections, "list">;
  /** Those above the standard tier; null: too many to look through. */
  readonly strictSecrets: (tenantId: TenantId) => Promise<readonly StrictSecret[] | null>;
  readonly reading: CallReading;
  readonly clock: Clock;
}

export interface Tried {
  readonly call: DescribedCall;
  readonly now: Outcome;
  readonly draft: Outcome;
  readonly changed: boolean | null;
}

type Draft = Pick<Trial, "policies" | "without">;

/** Events and connections that are looked through for what was asked for. */
const MAX_PAGES = 10;

/** What would become of calls under other policies. Nothing is sent, charged, changed or recorded. */
export class PolicyTrials {
  readonly #parts: PolicyTrialsParts;

  constructor(parts: PolicyTrialsParts) {
    this.#parts = parts;
  }

  /** Throws VALIDATION_ERROR for a draft that could not be made, or a call that could not. */
  async examples(tenantId: TenantId, { calls, ...draft }: Trial): Promise<readonly Tried[]> {
    const { now, drafted, agents } = await this.#policies(tenantId, draft);
    const connections = await this.#connections(tenantId, new Set(calls.map(slugOf)));
    const { reading, clock } = this.#parts;
    const at = clock();
    const described = calls.map((call, index) =>
      under(`calls.${index}`, () => exampleCall(call, { agents, connections }, reading, at)),
    );
    return compared(described, now, drafted);
  }

  /** The last calls of the trail, the newest first. Throws VALIDATION_ERROR for a draft that could not be made. */
  async recorded(tenantId: TenantId, { last, ...draft }: RecordedTrial): Promise<readonly Tried[]> {
    const { now, drafted, agents } = await this.#policies(tenantId, draft);
    const events = await this.#lastCalls(tenantId, last);
    const connections = await this.#connections(tenantId, new Set(events.map(({ resource }) => resource)));
    const world: TrialWorld = { agents, connections };
    const described = events.map((event) => recordedCall(event, world)).filter((call) => call !== null);
    return compared(described, now, drafted);
  }

  /** What is in force, what would be, and the agents, all of one moment. */
  async #policies(tenantId: TenantId, { policies, without }: Draft) {
    const drafts = policies.map((input, index) => under(`policies.${index}`, () => draftPolicy(input)));
    const read = await readPolicies(this.#parts.db, tenantId, true);
    const replaced = new Set([...without, ...drafts.map(({ name }) => name)]);
    const drafted = [...read.policies.filter(({ name }) => !replaced.has(name)), ...drafts];
    return { now: read.policies, drafted, agents: read.agents ?? new Map() };
  }

  async #lastCalls(tenantId: TenantId, last: number): Promise<readonly StoredEvent[]> {
    const found: StoredEvent[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < MAX_PAGES && found.length < last; page++) {
      const filters = { resource_type: "connection" };
      const request: Parameters<AuditLog["query"]>[2] = {
        limit: 1_000,
        ...(cursor === null ? {} : { cursor }),
      };
      const { events, next_cursor } = await this.#parts.audit.query(tenantId, filters, request);
      found.push(
        ...events.filter(
          ({ event_type }) => event_type === "connection.called" || event_type === "connection.denied",
        ),
      );
      if (next_cursor === null) break;
      cursor = next_cursor;
    }
    return found.slice(0, last);
  }

  async #connections(
    tenantId: TenantId,
    slugs: ReadonlySet<string>,
  ): Promise<ReadonlyMap<string, ConnectionFacts>> {
    const strict = await this.#parts.strictSecrets(tenantId);
    const found = new Map<string, ConnectionFacts>();
    let cursor: string | null = null;
    for (let pages = 0; pages < MAX_PAGES && found.size < slugs.size; pages++) {
      const page: Awaited<ReturnType<Connections["list"]>> = await this.#parts.connections.list(tenantId, {
        limit: 200,
        ...(cursor === null ? {} : { cursor }),
      });
      for (const { slug, provider, baseUrl, secrets, allow, default: byDefault } of page.connections) {
        if (!slugs.has(slug)) continue;
        const tier = tierOf(Object.values(secrets), strict);
        const otherwise = allow === null ? byDefault : "allow";
        found.set(slug, { host: new URL(baseUrl).host, provider, tier, otherwise });
      }
      if (page.nextCursor === null) break;
      cursor = page.nextCursor;
    }
    return found;
  }
}

function tierOf(paths: readonly string[], strict: readonly StrictSecret[] | null): PolicyFacts["tier"] {
  if (paths.length === 0) return null;
  if (strict === null) return "critical";
  const tiers = new Set(strict.filter(({ path }) => paths.includes(path)).map(({ tier }) => tier));
  return tiers.has("critical") ? "critical" : tiers.has("sensitive") ? "sensitive" : "standard";
}

/** A draft is none of those that are stored: its version is 0. */
function draftPolicy(input: PolicyCreate): Policy {
  if (input.on !== undefined && input.on !== "calls") {
    const message = 'must be left out, or "calls"';
    throw new Problem("VALIDATION_ERROR", `on ${message}`, { errors: [{ path: "on", message }] });
  }
  return { ...draftOf(input), id: newId("policy"), version: 0, createdAt: 0, updatedAt: 0 };
}

/** What is wrong with a part of the input, said of its place; whatever the gateway would refuse it with. */
function under<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const faults = error.options.errors?.map((fault) => ({ ...fault, path: `${path}.${fault.path}` }));
    throw new Problem("VALIDATION_ERROR", `${path}: ${error.message}`, {
      errors: faults ?? [{ path, message: error.message }],
    });
  }
}

/** Throws VALIDATION_ERROR where that takes too many steps. */
function compared(
  calls: readonly DescribedCall[],
  policies: readonly Policy[],
  drafted: readonly Policy[],
): readonly Tried[] {
  const trials = new Trials();
  try {
    return calls.map((call) => {
      const [now, draft] = trials.outcomes(call, [policies, drafted]) as readonly [Outcome, Outcome];
      return { call, now, draft, changed: isChanged(now, draft, call.otherwise) };
    });
  } catch (error) {
    if (!(error instanceof TooCostly)) throw error;
    throw new Problem("VALIDATION_ERROR", "That many calls take too many steps with these conditions.", {
      why: "Try fewer calls at once.",
    });
  }
}
