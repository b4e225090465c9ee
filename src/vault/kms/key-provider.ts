import { Problem } from "../../base/problem.ts";
import { within } from "../../base/within.ts";

/** A data key under a tenant's key-encryption key. */
export interface WrappedKey {
  /** base64, as the provider gave it. */
  readonly wrapped: string;
  /** Which key-encryption key, `{provider}/{version}` or `{provider}/{version}/{name}`: what opens it again. */
  readonly keyVersion: string;
}

/**
 * What holds the tenants' key-encryption keys: each tenant has one without a name, and any number with names
 * (`kekNameSchema`) that its namespaces may choose. Those never leave it. Data keys are 256 bits; `aad` is bound to the
 * wrapped key, so that it opens for its own tenant and `aad` only.
 *
 * What does not open (altered, of another tenant, under a key that is not there) throws `cannotOpen()`, and so does an
 * answer of the key service that is not the one asked for. Any other failure may be thrown as it is: `askKeys` makes
 * it UNAVAILABLE. Conformance: test/worker/vault/key-provider.conformance.ts.
 */
export interface KeyProvider {
  readonly id: string;
  /** The key version that `wrap` uses now. `kek` is the key's name; null: the tenant's own, as if left out. */
  keyVersion(tenantId: string, kek?: string | null): Promise<string>;
  wrap(tenantId: string, dek: Uint8Array, aad: Uint8Array, kek?: string | null): Promise<WrappedKey>;
  /** A non-extractable AES-GCM key that can only decrypt. */
  unwrap(tenantId: string, key: WrappedKey, aad: Uint8Array): Promise<CryptoKey>;
  /** The same data key under the newest version of the same key-encryption key. */
  rewrap(tenantId: string, key: WrappedKey, aad: Uint8Array): Promise<WrappedKey>;
}

export const DEK_BYTES = 32;

const DEADLINE_MS = 5_000;

/** The one answer for all that does not open: it says nothing about why (the cause stays inside). */
export function cannotOpen(cause?: unknown): Problem {
  return new Problem("INTERNAL", "The stored secret could not be opened.", { cause });
}

/** Waits for a key provider at most 5 s. Throws its Problem, or UNAVAILABLE for every other failure. */
export async function askKeys<T>(work: Promise<T>): Promise<T> {
  try {
    return await within(DEADLINE_MS, work);
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem("UNAVAILABLE", "The key service did not answer. Try again in a few seconds.", {
      headers: { "retry-after": "5" },
      cause: error,
    });
  }
}
