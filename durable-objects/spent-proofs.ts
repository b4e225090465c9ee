import type { SpendableProof } from "../src/identity/dpop/presented.ts";

/** So many proofs that are still good: a few minutes of a busy token. */
const MAX_PROOFS = 20_000;
/** Those that no charge's slot holds lie in one row, which may have 2 MB. */
const MAX_UNCHARGED = 2_000;
const KEY = "proofs";

/**
 * The proofs that were used with a token, until nobody could use them again (attack 58). Those of charges lie in the
 * charges' slots, so that one write records both; the others in a row of their own.
 */
export class SpentProofs {
  readonly #kv: SyncKvStorage;
  /** Until when each is remembered. */
  readonly #until = new Map<string, number>();
  #uncharged: readonly SpendableProof[];

  constructor(kv: SyncKvStorage) {
    this.#kv = kv;
    this.#uncharged = kv.get<readonly SpendableProof[]>(KEY) ?? [];
    for (const { key, expiresAt } of this.#uncharged) this.#until.set(key, expiresAt);
  }

  has({ key }: SpendableProof): boolean {
    return this.#until.has(key);
  }

  /** Then none is taken any more: to forget one would let it in twice. */
  isFull(now: number): boolean {
    if (this.#until.size < MAX_PROOFS) return false;
    for (const [key, until] of this.#until) if (until <= now) this.#until.delete(key);
    return this.#until.size >= MAX_PROOFS;
  }

  /** In memory: what holds it is written by the caller. */
  add({ key, expiresAt }: SpendableProof): void {
    this.#until.set(key, expiresAt);
  }

  /** Without a charge. False where it was used before, or no more can be remembered. */
  spend(proof: SpendableProof, now: number): boolean {
    if (this.has(proof) || this.isFull(now)) return false;
    const held = this.#uncharged.filter(({ expiresAt }) => expiresAt > now);
    if (held.length >= MAX_UNCHARGED) return false;
    this.#uncharged = [...held, proof];
    this.#kv.put(KEY, this.#uncharged);
    this.add(proof);
    return true;
  }
}
