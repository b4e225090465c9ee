import { createHash } from "node:crypto";
import { PROOF_WINDOW_SECONDS, type VerifiedProof } from "./verify.ts";

/** Remembers what was used. Kept by one writer, so that of two uses exactly one is the first (attack 58). */
export interface ReplayMemory {
  /** Whether `key` was not there yet; from now on it is, until `expiresAt` (ms) at least. */
  first(key: string, expiresAt: number): boolean;
}

/**
 * A proof as a replay memory keeps it: 128 bits of a digest over key and `jti` (RFC 9449 §11.1), so that no client can
 * make it long. `expiresAt` leaves one more window for a memory whose clock is behind the one that checked `iat`.
 */
export function replayEntry({ thumbprint, jti, iat }: VerifiedProof): {
  readonly key: string;
  readonly expiresAt: number;
} {
  const digest = createHash("sha256").update(`${thumbprint}\n${jti}`).digest();
  return {
    key: digest.subarray(0, 16).toString("base64url"),
    expiresAt: (iat + 2 * PROOF_WINDOW_SECONDS) * 1_000,
  };
}

/**
 * A replay memory in memory: at most `capacity` entries that have not expired. A full one calls everything a replay,
 * since forgetting one would let it in twice. What must survive its holder is written and read back by `entries`.
 */
export class BoundedReplayMemory implements ReplayMemory {
  readonly #entries: Map<string, number>;
  readonly #capacity: number;
  readonly #clock: () => number;

  constructor(options: {
    readonly capacity: number;
    readonly clock: () => number;
    readonly entries?: Iterable<readonly [string, number]>;
  }) {
    this.#capacity = options.capacity;
    this.#clock = options.clock;
    this.#entries = new Map(options.entries);
  }

  first(key: string, expiresAt: number): boolean {
    if (this.#entries.has(key)) return false;
    if (this.#entries.size >= this.#capacity) this.#forgetExpired();
    if (this.#entries.size >= this.#capacity) return false;
    this.#entries.set(key, expiresAt);
    return true;
  }

  /** What has not expired: `[key, expiresAt]`. */
  entries(): readonly (readonly [string, number])[] {
    this.#forgetExpired();
    return [...this.#entries];
  }

  #forgetExpired(): void {
    const now = this.#clock();
    for (const [key, expiresAt] of this.#entries) if (expiresAt <= now) this.#entries.delete(key);
  }
}
