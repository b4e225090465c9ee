import { eq } from "drizzle-orm";
import { proofRefused } from "../base/bearer.ts";
import { BoundedCache } from "../base/cache.ts";
import type { Clock } from "../base/clock.ts";
import { databaseAway } from "../base/database-away.ts";
import type { Database } from "../base/database.ts";
import type { DeniedBy } from "../base/denied-by.ts";
import type { TokenId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import { SingleFlight } from "../base/single-flight.ts";
import { within } from "../base/within.ts";
import type { BudgetClaim } from "../budgets/claim.ts";
import type { SpendableProof } from "../identity/dpop/presented.ts";
import type {
  CallOutcome,
  ChargePreview,
  ChargeRequest,
  ChargeVerdict,
  EventDraft,
  PreviewRequest,
  TokenObject,
} from "./charge.ts";
import { type Grant, grantOf } from "./grant.ts";
import { limitsOf, lineIds, rootOf } from "./line.ts";
import { Outcomes, type WaitingOutcomes } from "./outcomes.ts";
import type { Tally } from "./permission.ts";
import { tokens } from "./tables.ts";
import type { TokenClaims, TokenSigner } from "./token.ts";

const CHARGE_ATTEMPTS = 3;
const CHARGE_WITHIN_MS = 3_000;
/** `work`, or a rejection where it takes longer than `milliseconds`. */
export type TimeLimit = <T>(milliseconds: number, work: Promise<T>) => Promise<T>;

/** What an isolate remembers of tokens. Grants are immutable, so a cached one is never stale. */
export class TokenMemory {
  readonly grants = new BoundedCache<TokenId, Grant>(10_000);
  readonly lookups = new SingleFlight<Grant | null>();
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
  readonly #outcomes: Outcomes;
  readonly #onUsedUp: ((grant: Grant) => Promise<void>) | undefined;

  constructor(dependencies: {
    db: Database;
    signer: TokenSigner;
    memory: TokenMemory;
    object: (tokenId: TokenId) => TokenObject;
    clock: Clock;
    waitUntil: (promise: Promise<unknown>) => void;
    /** Told of the token of a permission whose last use was charged; the use does not wait for it. */
    onUsedUp?: (grant: Grant) => Promise<void>;
  }) {
    this.#db = dependencies.db;
    this.#signer = dependencies.signer;
    this.#memory = dependencies.memory;
    this.#object = dependencies.object;
    this.#clock = dependencies.clock;
    this.#waitUntil = dependencies.waitUntil;
    this.#onUsedUp = dependencies.onUsedUp;
    this.#outcomes = new Outcomes({
      memory: dependencies.memory.outcomes,
      send: (tokenId, outcomes) => dependencies.object(tokenId).settle(outcomes),
      clock: dependencies.clock,
      waitUntil: dependencies.waitUntil,
    });
  }

  /** Signed here and not expired? No I/O. */
  verify(token: string): TokenClaims | null {
    return this.#signer.verify(token, this.#clock);
  }

  /**
   * What a verified token grants; null if the index does not know it, or knows that it is revoked. Throws UNAVAILABLE
   * where the index does not answer within 5 s.
   */
  async grant(claims: TokenClaims): Promise<Grant | null> {
    const cached = this.#memory.grants.get(claims.tokenId);
    if (cached !== undefined) return cached;
    try {
      const look = () => this.#lookUp(claims).catch((error: unknown) => Promise.reject(databaseAway(error)));
      return await this.#memory.lookups.run(claims.tokenId, look, this.#waitUntil);
    } catch (error) {
      throw databaseAway(error);
    }
  }

  async #lookUp({ tokenId, tenantId }: TokenClaims): Promise<Grant | null> {
    const [row] = await this.#db.of(tenantId).select().from(tokens).where(eq(tokens.id, tokenId)).limit(1);
    if (row === undefined || row.revokedAt !== null) return null;
    const granted = grantOf(row);
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
      /** Of a call through a connection, which ends with `settle`. */
      readonly concurrency?: NonNullable<ChargeRequest["concurrency"]>;
      /** Of a token that is bound to a key; without one such a token is not charged at all. */
      readonly proof?: SpendableProof;
      /** Keys are the permission's own. */
      readonly tallies?: readonly Tally[];
      readonly budgets?: readonly BudgetClaim[];
    },
    limit: TimeLimit = within,
  ): Promise<ChargeVerdict> {
    if (grant.jkt !== null && call.proof === undefined) throw new Error("a bound token without a proof");
    const { tokenId } = rootOf(grant);
    const carried = this.#outcomes.carry(tokenId);
    const { outcomes } = carried;
    const request: ChargeRequest = {
      ...{ ...call, ...limitsOf(grant), tenantId: grant.tenantId, outcomes },
      ...talliesOf(grant, call.tallies),
    };
    const deadline = this.#clock() + CHARGE_WITHIN_MS;
    for (let attempt = 1; attempt <= CHARGE_ATTEMPTS; attempt++) {
      const left = deadline - this.#clock();
      if (left <= 0) break;
      try {
        const verdict = await limit(left, this.#object(tokenId).charge(request));
        carried.delivered();
        if (grant.permission !== null && isLastUse(grant, verdict)) this.#tellUsedUp(grant);
        return withOwnKey(grant, verdict);
      } catch (error) {
        if (typeof error === "object" && error !== null && "overloaded" in error && error.overloaded === true)
          break;
      }
    }
    carried.lost();
    throw unrecorded();
  }

  #tellUsedUp(grant: Grant): void {
    const told = this.#onUsedUp?.(grant);
    if (told !== undefined) this.#waitUntil(told);
  }

  /**
   * Whether the token's own object still honours it: revoked ones are told nothing else (attack 57). Throws UNAVAILABLE
   * where that does not answer.
   */
  async isRevoked(grant: Grant): Promise<boolean> {
    try {
      const object = this.#object(rootOf(grant).tokenId);
      return (await within(CHARGE_WITHIN_MS, object.state(lineIds(grant)))).revoked;
    } catch (cause) {
      throw new Problem("UNAVAILABLE", "Whether the token is revoked cannot be told right now. Try again.", {
        headers: { "retry-after": "2" },
        cause,
      });
    }
  }

  /** One use of a bound token's proof that charges nothing: throws where it was used before. */
  async spend(grant: Grant, proof: SpendableProof): Promise<void> {
    let isFresh: boolean;
    try {
      isFresh = await within(CHARGE_WITHIN_MS, this.#object(rootOf(grant).tokenId).spend(proof));
    } catch (cause) {
      throw new Problem("UNAVAILABLE", "Whether the proof is new cannot be told right now. Try again.", {
        headers: { "retry-after": "2" },
        cause,
      });
    }
    if (!isFresh) throw proofRefused();
  }

  /** What `charge` would come to right now; charges nothing. Throws UNAVAILABLE where the object does not answer. */
  async preview(
    grant: Grant,
    call: Pick<PreviewRequest, "epoch" | "ip" | "concurrency" | "tallies" | "budgets">,
  ): Promise<ChargePreview> {
    const request: PreviewRequest = {
      ...{ ...call, ...limitsOf(grant), tenantId: grant.tenantId },
      ...talliesOf(grant, call.tallies),
    };
    try {
      const { verdict, uses } = await within(
        CHARGE_WITHIN_MS,
        this.#object(rootOf(grant).tokenId).preview(request),
      );
      return { verdict: withOwnKey(grant, verdict), uses };
    } catch (cause) {
      throw new Problem("UNAVAILABLE", "What the token has left cannot be told right now. Try again.", {
        headers: { "retry-after": "2" },
        cause,
      });
    }
  }

  /** Records a refusal that was decided before charging; the answer does not wait for it. */
  deny(grant: Grant, reason: string, event: EventDraft, by?: DeniedBy): void {
    const root = rootOf(grant);
    this.#waitUntil(
      this.#object(root.tokenId)
        .deny(grant.tokenId, grant.tenantId, root.expiresAt, reason, event, by)
        .catch(() => undefined),
    );
  }

  /** Tells what became of a charged call, a little later or with the token's next charge. */
  settle(grant: Grant, outcome: CallOutcome): void {
    this.#outcomes.add(rootOf(grant).tokenId, [outcome]);
  }
}

/** Of a child only its own uses are told. */
function isLastUse({ ancestors, maxUses }: Grant, verdict: ChargeVerdict): boolean {
  return verdict.kind === "allowed" && ancestors.length === 0 && verdict.uses === maxUses;
}

/** Where a permission's keys lie in the object, which holds those of a whole line: the same for all that share it. */
function keysBelow({ permission, tokenId }: Grant): string {
  return `${permission?.permissionId ?? tokenId}.`;
}

function talliesOf(grant: Grant, tallies: readonly Tally[] | undefined): Pick<ChargeRequest, "tallies"> {
  if (tallies === undefined) return {};
  const below = keysBelow(grant);
  return { tallies: tallies.map((tally) => ({ ...tally, key: below + tally.key })) };
}

function withOwnKey(grant: Grant, verdict: ChargeVerdict): ChargeVerdict {
  if (verdict.kind !== "denied" || verdict.reason !== "tally") return verdict;
  return { ...verdict, key: verdict.key.slice(keysBelow(grant).length) };
}

/** The refusal of a use that could not be recorded: nothing may leave without its line in the ledger. */
export function unrecorded(): Problem {
  return new Problem("UNAVAILABLE", "The use could not be recorded, so the call was not made.", {
    headers: { "retry-after": "2" },
    why: "Try again; the attempt may have cost one use.",
  });
}
