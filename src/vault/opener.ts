import { BoundedCache } from "../base/cache.ts";
import type { Clock } from "../base/clock.ts";
import type { Redacted } from "../base/redacted.ts";
import { type Binding, type Envelope, openWith, unwrapDek } from "./envelope.ts";
import type { KeyProvider } from "./kms/key-provider.ts";

const MAX_DEKS = 1_000;
const DEK_TTL_MS = 5 * 60_000;

interface HeldDek {
  readonly key: CryptoKey;
  readonly until: number;
}

/**
 * Data keys that have opened their value, per isolate: non-extractable, at most 5 minutes, so that warm traffic asks no
 * key service and outlives its outages. By version id: what a data key opens is bound to tenant and path by itself.
 */
const deks = new BoundedCache<string, HeldDek>(MAX_DEKS);

/** Opens envelopes, with the data keys of recently opened ones at hand. Plaintexts are never kept. */
export class Opener {
  readonly #keys: KeyProvider;
  readonly #clock: Clock;

  constructor(parts: { readonly keys: KeyProvider; readonly clock: Clock }) {
    this.#keys = parts.keys;
    this.#clock = parts.clock;
  }

  /** Whether `open` would ask no key service now. */
  isWarm(versionId: string): boolean {
    const held = deks.get(versionId);
    return held !== undefined && held.until > this.#clock();
  }

  /** Throws INTERNAL where it does not open, UNAVAILABLE where the key service does not answer. */
  async open(versionId: string, binding: Binding, envelope: Envelope): Promise<Redacted> {
    const held = deks.get(versionId);
    if (held !== undefined && held.until > this.#clock()) return openWith(held.key, binding, envelope);
    deks.delete(versionId);
    const key = await unwrapDek(this.#keys, binding, envelope);
    const value = await openWith(key, binding, envelope);
    deks.set(versionId, { key, until: this.#clock() + DEK_TTL_MS });
    return value;
  }
}
