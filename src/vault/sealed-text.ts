import type { TenantId } from "../base/ids.ts";
import type { Redacted } from "../base/redacted.ts";
import { open, seal } from "./envelope.ts";
import type { KeyProvider } from "./kms/key-provider.ts";
import type { SealedText } from "./sealed-form.ts";

/** Secrets' versions begin at 1: an envelope of one never opens as the other. */
const NO_VERSION = 0;

/** Seals what a tenant configures beside its secrets (an identity provider's client secret), under the same keys. */
export class SealedTexts {
  readonly #keys: KeyProvider;

  constructor(keys: KeyProvider) {
    this.#keys = keys;
  }

  /** `name` says what it is, such as the id of its row: it opens under that name only. Throws as `seal`. */
  async seal(tenantId: TenantId, name: string, value: Redacted): Promise<SealedText> {
    const { nonce, ciphertext, ...rest } = await seal(
      this.#keys,
      { tenantId, path: name, version: NO_VERSION },
      value,
    );
    return {
      ...rest,
      nonce: Buffer.from(nonce).toString("base64"),
      ciphertext: Buffer.from(ciphertext).toString("base64"),
    };
  }

  /** Throws INTERNAL where it does not open, UNAVAILABLE where the key service does not answer. */
  open(tenantId: TenantId, name: string, { nonce, ciphertext, ...rest }: SealedText): Promise<Redacted> {
    return open(
      this.#keys,
      { tenantId, path: name, version: NO_VERSION },
      { ...rest, nonce: Buffer.from(nonce, "base64"), ciphertext: Buffer.from(ciphertext, "base64") },
    );
  }
}
