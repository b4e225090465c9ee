import { and, eq } from "drizzle-orm";
import { BoundedCache } from "../base/cache.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import type { TokenId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { CallOutcome, ChargeRequest, ChargeVerdict, EventDraft, TokenObject } from "./charge.ts";
import type { Grant } from "./grant.ts";
import { tokens } from "./tables.ts";
import type { TokenClaims, TokenSigner } from "./token.ts";

const CHARGE_ATTEMPTS = 3;
const CHARGE_WITHIN_MS = 3_000;
/** Outcomes of an isolate's calls are told together. */
const OUTCOMES_EVERY_MS = 200;
/** After this the request that was to tell them is taken for dead. */
const TELLER_LOST_MS = 1_000;
/** So many are told at once. */
const MAX_OUTCOMES = 500;

interface WaitingOutcomes {
  readonly openedAt: number;
  readonly outcomes: CallOutcome[];
}

/** `work`, or a rejection where it takes longer than `milliseconds`. */
export type TimeLimit = <T>(milliseconds: number, work: Promise<T>) => Promise<T>;

/** What an isolate remembers of tokens. Grants are immutable, so a cached one is never stale. */
export class TokenMemory {
  readonly grants = new BoundedCache<TokenId, Grant>(10_000);
  readonly objectIds = new BoundedCache<TokenId, DurableObjectId>(10_000);
  readonly outcomes = new BoundedCache<TokenId, WaitingOutcomes>(10_000);
}

/** The way in: from the token's text to its grant, and from there to a charged, recorded use. */
export class Admission {
  readonly #db: Database;
  readonly #signer: TokenSigner;
  readonly #memory: TokenMemory;
  readonly #object: (tokenId: TokenId) => TokenObject;
  readonly #clock: Clock;
  readonly #waitUntil: (promise: Promise<unknown>) => void;

  constructor(dependencies: {
    db: Database;
    signer: TokenSigner;
    memory: TokenMemory;
    object: (tokenId: TokenId) => TokenObject;
    clock: Clock;
    waitUntil: (promise: Promise<unknown>) => void;
  }) {
    this.#db = dependencies.db;
    this.#signer = dependencies.signer;
    this.#memory = dependencies.memory;
    this.#object = dependencies.object;
    this.#clock = dependencies.clock;
    this.#waitUntil = dependencies.waitUntil;
  }

  /** Signed here and not expired? No I/O. */
  verify(token: string): TokenClaims | null {
    return this.#signer.verify(token, this.#clock);
  }

  /** What a verified token grants; null if the index does not know it, or knows that it is revoked. */
  async grant({ tokenId, tenantId }: TokenClaims): Promise<Grant | null> {
    const cached = this.#memory.grants.get(tokenId);
    if (cached !== undefined) return cached;
    const [row] = await this.#db
      .select()
      .from(tokens)
      .where(and(eq(tokens.tenantId, tenantId), eq(tokens.id, tokenId)))
      .limit(1);
    if (row === undefined || row.revokedAt !== null) return null;
    const { id, revokedAt: _revokedAt, closedAt: _closedAt, ...grant } = row;
    const granted: Grant = { tokenId: id, ...grant };
    this.#memory.grants.set(tokenId, granted);
    return granted;
  }

  /**
   * One use, durably recorded. Where the answer got lost it asks again with the same call id and gets the recorded
   * verdict; still unknown: throws UNAVAILABLE, and the use counts as used.
   */
  async charge(
    grant: Grant,
    call: {
      readonly callId: string;
      readonly epoch: number;
      readonly ip: string | null;
      readonly event: EventDraft;
    },
    limit: TimeLimit = within,
  ): Promise<ChargeVerdict> {
    const { tokenId, tenantId, ipAllowlist, maxUses, rate, expiresAt } = grant;
    const request: ChargeRequest = { ...call, tokenId, tenantId, ipAllowlist, maxUses, rate, expiresAt };
    const deadline = this.#clock() + CHARGE_WITHIN_MS;
    for (let attempt = 1; attempt <= CHARGE_ATTEMPTS && this.#clock() < deadline; attempt++) {
      try {
        return await limit(CHARGE_WITHIN_MS, this.#object(tokenId).charge(request));
      } catch (error) {
        if (typeof error === "object" && error !== null && "overloaded" in error && error.overloaded === true)
          break;
      }
    }
    throw unrecorded();
  }

  /** Whether the token's own object still honours it: revoked ones are told nothing else (attack 57). */
  async isRevoked({ tokenId }: Grant): Promise<boolean> {
    return (await within(CHARGE_WITHIN_MS, this.#object(tokenId).state())).revoked;
  }

  /** Records a refusal that was decided before charging; the answer does not wait for it. */
  deny({ tokenId, tenantId, expiresAt }: Grant, reason: string, event: EventDraft): void {
    this.#waitUntil(
      this.#object(tokenId)
        .deny(tokenId, tenantId, expiresAt, reason, event)
        .catch(() => undefined),
    );
  }

  /**
   * Tells what became of a charged call, together with others of the same token. The request that began to collect
   * tells them all; where it died, a later one takes them over.
   */
  settle({ tokenId }: Grant, outcome: CallOutcome): void {
    const { outcomes: memory } = this.#memory;
    const now = this.#clock();
    const waiting = memory.get(tokenId);
    if (waiting !== undefined && waiting.outcomes.length >= MAX_OUTCOMES - 1) {
      memory.delete(tokenId);
      this.#waitUntil(this.#tell(tokenId, [...waiting.outcomes.splice(0), outcome]));
    } else if (waiting !== undefined && now - waiting.openedAt < TELLER_LOST_MS) {
      waiting.outcomes.push(outcome);
    } else {
      const own = { openedAt: now, outcomes: [...(waiting?.outcomes.splice(0) ?? []), outcome] };
      memory.set(tokenId, own);
      this.#waitUntil(this.#tellSoon(tokenId, own));
    }
  }

  async #tellSoon(tokenId: TokenId, waiting: WaitingOutcomes): Promise<void> {
    await scheduler.wait(OUTCOMES_EVERY_MS);
    if (this.#memory.outcomes.get(tokenId) === waiting) this.#memory.outcomes.delete(tokenId);
    await this.#tell(tokenId, waiting.outcomes.splice(0));
  }

  async #tell(tokenId: TokenId, outcomes: readonly CallOutcome[]): Promise<void> {
    if (outcomes.length === 0) return;
    await this.#object(tokenId)
      .settle(outcomes)
      .catch(() => undefined);
  }
}

/** The refusal of a use that could not be recorded: nothing may leave without its line in the ledger. */
export function unrecorded(): Problem {
  return new Problem("UNAVAILABLE", "The use could not be recorded, so the call was not made.", {
    headers: { "retry-after": "2" },
    why: "Try again; the attempt may have cost one use.",
  });
}

async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error("no answer in time")), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
