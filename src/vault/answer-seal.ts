import { sha256Hex } from "../base/digest.ts";
import type { TenantId } from "../base/ids.ts";

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const encoder = new TextEncoder();

/**
 * Answers that hold a credential shown once, kept for their repeats: AES-256-GCM under a key that is not there. It is
 * derived (HKDF-SHA256, RFC 5869) from the deployment's PEPPER and from what only the caller has, so that neither the
 * database nor the deployment's keys open one, nor both together.
 */
export class AnswerSeal {
  readonly #pepper: Uint8Array;

  /** `pepper`: 32 bytes. */
  constructor(pepper: Uint8Array) {
    this.#pepper = pepper;
  }

  /** base64 of nonce, ciphertext and tag. Opens with the same `opensWith` and `binding`. */
  async seal(
    tenantId: TenantId,
    opensWith: readonly string[],
    binding: string,
    text: string,
  ): Promise<string> {
    const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const algorithm = { name: "AES-GCM", iv, additionalData: encoder.encode(binding) };
    const key = await this.#key(tenantId, opensWith);
    const sealed = await crypto.subtle.encrypt(algorithm, key, encoder.encode(text));
    return Buffer.concat([iv, new Uint8Array(sealed)]).toString("base64");
  }

  /** Null for what was sealed for something else, or altered. */
  async open(
    tenantId: TenantId,
    opensWith: readonly string[],
    binding: string,
    sealed: string,
  ): Promise<string | null> {
    const bytes = Buffer.from(sealed, "base64");
    if (bytes.byteLength < NONCE_BYTES + TAG_BYTES) return null;
    const iv = bytes.subarray(0, NONCE_BYTES);
    const algorithm = { name: "AES-GCM", iv, additionalData: encoder.encode(binding) };
    const key = await this.#key(tenantId, opensWith);
    try {
      const opened = await crypto.subtle.decrypt(algorithm, key, bytes.subarray(NONCE_BYTES));
      return new TextDecoder().decode(opened);
    } catch {
      return null;
    }
  }

  async #key(tenantId: TenantId, opensWith: readonly string[]): Promise<CryptoKey> {
    const salt = Buffer.from(sha256Hex(JSON.stringify(opensWith)), "hex");
    const info = encoder.encode(JSON.stringify(["valetkey kept answer", 1, tenantId]));
    return crypto.subtle.deriveKey(
      { name: "HKDF", hash: "SHA-256", salt, info },
      await crypto.subtle.importKey("raw", this.#pepper, "HKDF", false, ["deriveKey"]),
      { name: "AES-GCM", length: 256 },
      false,
      ["encrypt", "decrypt"],
    );
  }
}
