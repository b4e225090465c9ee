import { BoundedCache } from "../base/cache.ts";
import type { Clock } from "../base/clock.ts";
import type { Redacted } from "../base/redacted.ts";
import { SingleFlight } from "../base/single-flight.ts";
import { type Binding, type Envelope, openWith, unwrapDek } from "./envelope.ts";
import { askKeys, type KeyProvider } from "./kms/key-provider.ts";

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
/** Data keys that are being asked for: a cold isolate under many calls asks the key service once. */
const unwraps = new SingleFlight<CryptoKey>();

/** Opens envelopes, with the data keys of recently opened ones at hand. Plaintexts are never kept. */
export class Opener {
  readonly #keys: KeyProvider;
  readonly #clock: Clock;
  readonly #waitUntil: (promise: Promise<unknown>) => void;

  constructor(parts: {
    readonly keys: KeyProvider;
    readonly clock: Clock;
    readonly waitUntil: (promise: Promise<unknown>) => void;
  }) {
    this.#keys = parts.keys;
    this.#clock = parts.clock;
    this.#waitUntil = parts.waitUntil;
  }

  /** Whether `open` would ask no key service now. */
  isWarm(versionId: string): boolean {
    return this.#held(versionId) !== null;
  }

  /** Throws INTERNAL where it does not open, UNAVAILABLE where the key service does not answer. */
  async open(versionId: string, binding: Binding, envelope: Envelope): Promise<Redacted> {
    const held = this.#held(versionId);
    if (held !== null) return openWith(held, binding, envelope);
    deks.delete(versionId);
    const key = await this.#unwrap(versionId, binding, envelope);
    const value = await openWith(key, binding, envelope);
    deks.set(versionId, { key, until: this.#clock() + DEK_TTL_MS });
    return value;
  }

  #held(versionId: string): CryptoKey | null {
    const held = deks.get(versionId);
    if (held === undefined) return null;
    const left = held.until - this.#clock();
    // More than its whole life: the clock went back.
    return left > 0 && left <= DEK_TTL_MS ? held.key : null;
  }

  /** Shared by those who ask for the same wrapped key in the same place: what one may not open another may. */
  #unwrap(versionId: string, binding: Binding, envelope: Envelope): Promise<CryptoKey> {
    const { tenantId, path, version } = binding;
    const { format, keyVersion, wrapped } = envelope;
    const what = JSON.stringify([versionId, tenantId, path, version, format, keyVersion, wrapped]);
    const work = () => unwrapDek(this.#keys, binding, envelope);
    return askKeys(unwraps.run(what, work, this.#waitUntil));
  }
}
