import { Problem } from "../base/problem.ts";
import { Redacted } from "../base/redacted.ts";
import { askKeys, cannotOpen, DEK_BYTES, type KeyProvider, type WrappedKey } from "./kms/key-provider.ts";

/**
 * Format 1. A fresh 256-bit data key (DEK) per version; the value under AES-256-GCM (NIST SP 800-38D) with a random
 * 96-bit nonce and a 128-bit tag; the DEK under the tenant's key. Both are bound to the same additional data, so that
 * nothing opens in another tenant, at another path, as another version or as another format.
 */
const FORMAT = 1;
const NONCE_BYTES = 12;

export const MAX_VALUE_BYTES = 64 * 1024;

/** What a sealed value is bound to. */
export interface Binding {
  readonly tenantId: string;
  readonly path: string;
  readonly version: number;
}

export interface Envelope extends WrappedKey {
  readonly format: number;
  readonly nonce: Uint8Array;
  /** With the tag at its end. */
  readonly ciphertext: Uint8Array;
}

/** A JSON array of strings and whole numbers has one reading: no two bindings share their additional data. */
const encoder = new TextEncoder();

function additionalData(binding: Binding, format: number): Uint8Array {
  return encoder.encode(
    JSON.stringify(["valetkey secret", format, binding.tenantId, binding.path, binding.version]),
  );
}

/**
 * Seals 1 to 65,536 bytes, the data key under the tenant's key of that name (null: the one without). Throws
 * VALIDATION_ERROR beyond them, UNAVAILABLE where the key service does not answer.
 */
export async function seal(
  keys: KeyProvider,
  binding: Binding,
  value: Redacted,
  kek: string | null = null,
): Promise<Envelope> {
  const plaintext = value.revealBytes();
  if (plaintext.byteLength === 0 || plaintext.byteLength > MAX_VALUE_BYTES) {
    throw new Problem("VALIDATION_ERROR", `A value has 1 to ${MAX_VALUE_BYTES} bytes.`);
  }
  const aad = additionalData(binding, FORMAT);
  const dek = crypto.getRandomValues(new Uint8Array(DEK_BYTES));
  try {
    const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const key = await crypto.subtle.importKey("raw", dek, "AES-GCM", false, ["encrypt"]);
    const algorithm = { name: "AES-GCM", iv: nonce, additionalData: aad };
    const ciphertext = new Uint8Array(await crypto.subtle.encrypt(algorithm, key, plaintext));
    const { wrapped, keyVersion } = await askKeys(keys.wrap(binding.tenantId, dek, aad, kek));
    return { format: FORMAT, nonce, ciphertext, wrapped, keyVersion };
  } finally {
    dek.fill(0);
  }
}

/** The data key of an envelope. Throws INTERNAL where it does not open, UNAVAILABLE as `seal`. */
export async function unwrapDek(keys: KeyProvider, binding: Binding, envelope: Envelope): Promise<CryptoKey> {
  if (envelope.format !== FORMAT) throw cannotOpen(`unknown format ${envelope.format}`);
  return askKeys(keys.unwrap(binding.tenantId, envelope, additionalData(binding, envelope.format)));
}

/** The value of an envelope whose data key is at hand. Throws INTERNAL where it does not open. */
export async function openWith(dek: CryptoKey, binding: Binding, envelope: Envelope): Promise<Redacted> {
  if (envelope.format !== FORMAT) throw cannotOpen(`unknown format ${envelope.format}`);
  if (envelope.nonce.byteLength !== NONCE_BYTES) throw cannotOpen("the nonce has another length");
  try {
    const aad = additionalData(binding, envelope.format);
    const algorithm = { name: "AES-GCM", iv: envelope.nonce, additionalData: aad };
    return new Redacted(new Uint8Array(await crypto.subtle.decrypt(algorithm, dek, envelope.ciphertext)));
  } catch (error) {
    throw cannotOpen(error);
  }
}

/** The value of an envelope: `unwrapDek`, then `openWith`. */
export async function open(keys: KeyProvider, binding: Binding, envelope: Envelope): Promise<Redacted> {
  return openWith(await unwrapDek(keys, binding, envelope), binding, envelope);
}
