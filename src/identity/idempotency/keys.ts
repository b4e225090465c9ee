import { and, eq, lt, sql } from "drizzle-orm";
import type { Clock } from "../../base/clock.ts";
import type { Database } from "../../base/database.ts";
import { hmacSha256 } from "../../base/digest.ts";
import { type TenantId, toHex } from "../../base/ids.ts";
import type { Jurisdiction } from "../../base/jurisdiction.ts";
import { Problem } from "../../base/problem.ts";
import { idempotencyKeys } from "./tables.ts";

/** How long a write's answer is kept for its repeats. */
export const KEPT_MS = 24 * 3_600_000;
/** No request takes so long: what is still running then was broken off. */
const RUNS_AT_MOST_MS = 120_000;
const FORGOTTEN_AT_ONCE = 2_000;

/** A write as it came. */
export interface SentOnce {
  readonly tenantId: TenantId;
  /** Who sends it, as the trail names them. */
  readonly actor: string;
  /** What it came with: the answer opens for nobody else. */
  readonly credential: string;
  readonly operation: string;
  readonly key: string;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly body: Uint8Array;
}

/** What a repeat is answered with. */
export interface KeptAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** The first request with a key: whoever gets this ends it in one of three ways. */
export interface FirstTime {
  readonly kind: "first";
  /** It is done, and this is the answer. */
  done(answer: KeptAnswer): Promise<void>;
  /** It was refused and nothing was changed: the key is as new. */
  refused(): Promise<void>;
  /** It failed, and nobody knows what was changed. */
  lost(): Promise<void>;
}

/** Encryption that binds to `binding` and opens with the same `credential` and `key` only (`vault/answer-seal.ts`). */
export interface Seal {
  seal(tenantId: TenantId, opensWith: readonly string[], binding: string, text: string): Promise<string>;
  /** Null for what does not open. */
  open(
    tenantId: TenantId,
    opensWith: readonly string[],
    binding: string,
    sealed: string,
  ): Promise<string | null>;
}

/**
 * `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): the first request with a key is done, its repeats get
 * its answer. One that a change and its record were torn apart in is neither done again nor said to be done.
 */
export class IdempotencyKeys {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #pepper: Uint8Array;
  readonly #seal: Seal;

  constructor(parts: {
    readonly db: Database;
    readonly clock: Clock;
    /** The deployment's PEPPER, 32 bytes. */
    readonly pepper: Uint8Array;
    readonly seal: Seal;
  }) {
    this.#db = parts.db;
    this.#clock = parts.clock;
    this.#pepper = parts.pepper;
    this.#seal = parts.seal;
  }

  /**
   * Throws IDEMPOTENCY_CONFLICT where the key came with another request, IDEMPOTENCY_IN_PROGRESS while the first one
   * runs, IDEMPOTENCY_UNKNOWN where nobody knows what became of it or its answer cannot be opened.
   */
  async begin(sent: SentOnce): Promise<FirstTime | { readonly kind: "repeat"; readonly answer: KeptAnswer }> {
    const now = this.#clock();
    const id = this.#digest("key", [sent.tenantId, sent.actor, sent.operation, sent.key]);
    const requestDigest = this.#digest("request", [sent.method, sent.target, toHex(sent.body)]);
    const db = this.#db.of(sent.tenantId);
    const own = eq(idempotencyKeys.id, id);
    const [, inserted, found] = await db.batch([
      db.delete(idempotencyKeys).where(and(own, lt(idempotencyKeys.createdAt, now - KEPT_MS))),
      db
        .insert(idempotencyKeys)
        .values({ id, requestDigest, state: "running", createdAt: now })
        .onConflictDoNothing()
        .returning({ id: idempotencyKeys.id }),
      db.select().from(idempotencyKeys).where(own),
    ]);
    if (inserted.length > 0) return this.#first(sent, id, requestDigest);
    const [held] = found;
    if (held === undefined || held.requestDigest !== requestDigest) throw otherRequest();
    if (held.state === "running" && now - held.createdAt < RUNS_AT_MOST_MS) throw stillRunning();
    if (held.state !== "done" || held.answer === null) throw outcomeUnknown();
    const opened = await this.#seal.open(
      sent.tenantId,
      opensWith(sent),
      `${id} ${requestDigest}`,
      held.answer,
    );
    if (opened === null) throw otherCredential();
    return { kind: "repeat", answer: JSON.parse(opened) as KeptAnswer };
  }

  #first(sent: SentOnce, id: string, requestDigest: string): FirstTime {
    const db = this.#db.of(sent.tenantId);
    const own = eq(idempotencyKeys.id, id);
    return {
      kind: "first",
      done: async (kept) => {
        const text = JSON.stringify(kept);
        const answer = await this.#seal.seal(sent.tenantId, opensWith(sent), `${id} ${requestDigest}`, text);
        await db.update(idempotencyKeys).set({ state: "done", answer }).where(own);
      },
      refused: async () => {
        await db.delete(idempotencyKeys).where(own);
      },
      lost: async () => {
        await db.update(idempotencyKeys).set({ state: "unknown" }).where(own);
      },
    };
  }

  #digest(of: "key" | "request", parts: readonly string[]): string {
    return toHex(hmacSha256(this.#pepper, JSON.stringify([`idempotency ${of}`, ...parts])));
  }
}

/** Clears away what is kept longer than a day. Bounded; what is left is taken up the next time. */
export async function forgetKeys(
  db: Database,
  jurisdiction: Jurisdiction | null,
  now: number,
): Promise<void> {
  const old = sql`rowid in (
    select rowid from ${idempotencyKeys} where ${idempotencyKeys.createdAt} < ${now - KEPT_MS} limit ${FORGOTTEN_AT_ONCE}
  )`;
  await db
    .acrossTenants("answers kept for repeats, a day old", jurisdiction)
    .delete(idempotencyKeys)
    .where(old);
}

function opensWith({ actor, operation, key, credential }: SentOnce): readonly string[] {
  return [actor, operation, key, credential];
}

function otherRequest(): Problem {
  return new Problem("IDEMPOTENCY_CONFLICT", "This Idempotency-Key came with another request before.", {
    why: "A key is for one request and its repeats: the same path and the very same body. Send this one with a new key.",
  });
}

function stillRunning(): Problem {
  return new Problem(
    "IDEMPOTENCY_IN_PROGRESS",
    "The first request with this Idempotency-Key is still running.",
    {
      headers: { "retry-after": "2" },
      why: "Repeat it as long after as Retry-After says: you will get its answer.",
    },
  );
}

function outcomeUnknown(): Problem {
  return new Problem("IDEMPOTENCY_UNKNOWN", "The request with this Idempotency-Key was broken off.", {
    why: "It may have been done or not, and is not done again. Look at what is there; if it is missing, use a new key.",
  });
}

function otherCredential(): Problem {
  return new Problem(
    "IDEMPOTENCY_UNKNOWN",
    "The answer to this Idempotency-Key was sealed for another credential.",
    {
      why: "It is done. Repeat it with the credential that it was sent with, or look at what is there.",
    },
  );
}
