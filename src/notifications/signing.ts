import { createHmac } from "node:crypto";
import { newId } from "../base/ids.ts";
import { Redacted } from "../base/redacted.ts";
import type { SealedText } from "../vault/sealed-form.ts";

/** A receiver's secret as it lies in its row. */
export interface StoredSigningSecret {
  /** Names its envelope: it opens under this and the receiver's id only. */
  readonly id: string;
  readonly sealed: SealedText;
  readonly createdAt: number;
  /** From when on nothing is signed with it any more; null: until it is replaced. */
  readonly expiresAt: number | null;
}

const PREFIX = "whsec_";
/** Standard Webhooks: between 24 and 64 bytes. */
const SECRET_BYTES = 32;

/** A fresh secret, `whsec_` and base64 (Standard Webhooks, "Signature scheme"), and the name it is sealed under. */
export function newSigningSecret(): { readonly id: string; readonly secret: Redacted } {
  const bytes = crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
  return { id: newId("request"), secret: new Redacted(`${PREFIX}${Buffer.from(bytes).toString("base64")}`) };
}

/** The one name under which a receiver's secret opens. */
export function sealedName(webhookId: string, secretId: string): string {
  return `webhook ${webhookId} ${secretId}`;
}

/**
 * `webhook-signature` (Standard Webhooks): `v1,` and base64 of HMAC-SHA256 over `{id}.{timestamp}.{body}`, one for each
 * secret, parted by spaces. `timestamp` in seconds since 1970.
 */
export function signatures(
  secrets: readonly Redacted[],
  signed: { readonly id: string; readonly timestamp: number; readonly body: string },
): string {
  return secrets
    .map((secret) => {
      const key = Buffer.from(secret.reveal().slice(PREFIX.length), "base64");
      const mac = createHmac("sha256", key).update(`${signed.id}.${signed.timestamp}.${signed.body}`);
      return `v1,${mac.digest("base64")}`;
    })
    .join(" ");
}

/** `webhook-id` of a notice: the same for every try, and without the dot that parts what is signed. */
export function messageId(noticeId: string): string {
  return noticeId.replaceAll(/[^A-Za-z0-9_-]/g, "_");
}
