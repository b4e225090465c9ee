import { importJWK } from "jose";
import { BoundedCache } from "../../base/cache.ts";
import type { Clock } from "../../base/clock.ts";
import { type Algorithm, type PublicKey, publicKey } from "./algorithms.ts";
import {
  type CheckDestination,
  discoverKeysUri,
  type Fetch,
  fetchObject,
  requireSecureIssuer,
  SourceError,
  type SourceFailure,
} from "./issuer.ts";

/** How long a loaded key set counts as current, whatever the issuer's cache headers say. */
const KEYS_FRESH_MS = 600_000;
/**
 * How long a key set is still used while the issuer cannot be reached, counted from when it was loaded. A key that the
 * issuer withdrew is accepted this long at most, and only if the issuer stays silent.
 */
const KEYS_STALE_MS = 3_600_000;
/** At most one load of an issuer's keys within this time, however many unknown key ids come (attack 56). */
const KEYS_COOLDOWN_MS = 30_000;
/** The same where no usable key is at hand at all. */
const KEYS_RETRY_MS = 5_000;
const MAX_KEYS = 50;
const MAX_ISSUERS = 200;
const TIMEOUT_MS = 5_000;

export interface KeySource {
  readonly issuer: string;
  /** Where its keys are; left out: discovered. */
  readonly jwksUri?: string | undefined;
}

/** What a load needs of the request it runs on. */
export interface KeyContext {
  readonly checkDestination: CheckDestination;
  readonly waitUntil: (promise: Promise<unknown>) => void;
}

class VerificationKey {
  readonly keyId: string | null;
  readonly #key: PublicKey;
  readonly #imported = new Map<Algorithm, CryptoKey>();

  constructor(keyId: string | null, key: PublicKey) {
    this.keyId = keyId;
    this.#key = key;
  }

  fits(algorithm: Algorithm, keyId: string | null): boolean {
    return this.#key.algorithms.includes(algorithm) && (keyId === null || keyId === this.keyId);
  }

  /** Throws where the platform does not take the key. */
  async import(algorithm: Algorithm): Promise<CryptoKey> {
    const known = this.#imported.get(algorithm);
    if (known !== undefined) return known;
    const key = await importJWK(this.#key.jwk, algorithm);
    if (key instanceof Uint8Array) throw new TypeError("a symmetric key");
    this.#imported.set(algorithm, key);
    return key;
  }
}

export type KeyLookup =
  | { readonly kind: "key"; readonly key: VerificationKey }
  /** No key of the issuer fits, or several do and the token does not say which. */
  | { readonly kind: "none" }
  | { readonly kind: "ambiguous" }
  | { readonly kind: "unavailable"; readonly failure: SourceFailure };

interface Entry {
  keys: readonly VerificationKey[];
  loadedAt: number | null;
  attemptedAt: number | null;
  failure: SourceFailure | null;
  flight: Promise<void> | null;
}

/**
 * The usable keys of a JWK set (RFC 7517 §5: what is not understood is passed over). Throws SourceError where it is no
 * set, has more than 50 keys or none that is usable.
 */
function parseKeySet(set: Readonly<Record<string, unknown>>): readonly VerificationKey[] {
  const { keys } = set;
  if (!Array.isArray(keys)) throw new SourceError("no_usable_keys");
  if (keys.length > MAX_KEYS) throw new SourceError("too_large");
  // By what they are: some issuers list one key twice, with a certificate and without.
  const usable = new Map<string, VerificationKey>();
  for (const jwk of keys as readonly unknown[]) {
    if (typeof jwk !== "object" || jwk === null) continue;
    const members = jwk as Readonly<Record<string, unknown>>;
    const key = publicKey(members);
    if (key === null) continue;
    const keyId = typeof members["kid"] === "string" ? members["kid"] : null;
    usable.set(JSON.stringify([keyId, key]), new VerificationKey(keyId, key));
  }
  if (usable.size === 0) throw new SourceError("no_usable_keys");
  return [...usable.values()];
}

/** Within `milliseconds` after `since`; a clock that went back is outside. */
function within(since: number | null, now: number, milliseconds: number): boolean {
  return since !== null && now >= since && now - since < milliseconds;
}

/**
 * The signing keys of issuers, per isolate. A set is current for 10 minutes; a key id that is not in it loads the set
 * again, at most once in 30 s; loads of one issuer are flown once at a time; the last good set serves up to an hour
 * where loading fails. Sets are kept by issuer *and* configured `jwks_uri`, so that what one tenant configures never
 * stands in for what another did.
 */
export class IssuerKeys {
  readonly #entries = new BoundedCache<string, Entry>(MAX_ISSUERS);
  readonly #fetch: Fetch;
  readonly #clock: Clock;
  readonly #timeoutMs: number;

  constructor(dependencies: { fetch: Fetch; clock: Clock; timeoutMs?: number }) {
    this.#fetch = dependencies.fetch;
    this.#clock = dependencies.clock;
    this.#timeoutMs = dependencies.timeoutMs ?? TIMEOUT_MS;
  }

  /** The one key that a token of this algorithm and key id can be verified with. */
  async find(
    source: KeySource,
    algorithm: Algorithm,
    keyId: string | null,
    context: KeyContext,
  ): Promise<KeyLookup> {
    const entry = this.#entry(source);
    if (within(entry.loadedAt, this.#clock(), KEYS_FRESH_MS)) {
      const found = pick(entry.keys, algorithm, keyId);
      if (found.kind !== "none") return found;
    }
    await this.#refresh(entry, source, context);
    if (!within(entry.loadedAt, this.#clock(), KEYS_STALE_MS)) {
      return { kind: "unavailable", failure: entry.failure ?? "unreachable" };
    }
    const found = pick(entry.keys, algorithm, keyId);
    if (found.kind === "none" && entry.failure !== null) {
      return { kind: "unavailable", failure: entry.failure };
    }
    return found;
  }

  #entry({ issuer, jwksUri }: KeySource): Entry {
    const name = JSON.stringify([issuer, jwksUri ?? null]);
    const known = this.#entries.get(name);
    if (known !== undefined) return known;
    const entry: Entry = { keys: [], loadedAt: null, attemptedAt: null, failure: null, flight: null };
    this.#entries.set(name, entry);
    return entry;
  }

  async #refresh(entry: Entry, source: KeySource, context: KeyContext): Promise<void> {
    const shared = entry.flight;
    if (shared !== null) {
      // It belongs to another request and may die with it.
      await settledWithin(this.#timeoutMs * 2, shared);
      if (entry.flight === shared) entry.flight = null;
      return;
    }
    const now = this.#clock();
    const usable = within(entry.loadedAt, now, KEYS_STALE_MS);
    if (within(entry.attemptedAt, now, usable ? KEYS_COOLDOWN_MS : KEYS_RETRY_MS)) return;
    entry.attemptedAt = now;
    const flight = this.#load(entry, source, context);
    entry.flight = flight;
    context.waitUntil(flight);
    await flight;
    if (entry.flight === flight) entry.flight = null;
  }

  /** Never throws. */
  async #load(entry: Entry, { issuer, jwksUri }: KeySource, { checkDestination }: KeyContext): Promise<void> {
    const dependencies = { fetch: this.#fetch, checkDestination, timeoutMs: this.#timeoutMs };
    try {
      requireSecureIssuer(issuer, checkDestination);
      const uri = jwksUri ?? (await discoverKeysUri(issuer, dependencies));
      entry.keys = parseKeySet(await fetchObject(uri, dependencies));
      entry.loadedAt = this.#clock();
      entry.failure = null;
    } catch (error) {
      entry.failure = error instanceof SourceError ? error.failure : "unreachable";
    }
  }
}

function pick(keys: readonly VerificationKey[], algorithm: Algorithm, keyId: string | null): KeyLookup {
  const [key, ...more] = keys.filter((candidate) => candidate.fits(algorithm, keyId));
  if (key === undefined) return { kind: "none" };
  return more.length === 0 ? { kind: "key", key } : { kind: "ambiguous" };
}

async function settledWithin(milliseconds: number, promise: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
}
