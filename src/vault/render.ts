import type { Redacted } from "../base/redacted.ts";
import { splitSecretPath } from "../base/secret-path.ts";
import type { SealedSecret, SecretRow } from "./sealed-secret.ts";

const TOO_PLAIN =
  "The value is shorter than 8 bytes or repeats itself: it could not be found safely in a response, so connections cannot use it.";

/** A secret as lists and changes show it: never its value. */
export function renderListed(secret: SecretRow) {
  return {
    path: secret.path,
    ...splitSecretPath(secret.path),
    version: secret.currentVersion,
    secret_type: secret.secretType,
    access_tier: secret.accessTier,
    metadata: secret.metadata,
    allowed_hosts: secret.allowedHosts,
    reveal: secret.reveal,
    created_at: new Date(secret.createdAt).toISOString(),
    updated_at: new Date(secret.updatedAt).toISOString(),
  };
}

/** One version of it. */
export function renderSecret(secret: SecretRow, sealed: SealedSecret) {
  return { ...renderListed(secret), version: sealed.version, redactable: sealed.redactable };
}

/** The answer to a change; says why where the new value is not for connections (attack 44). */
export function renderStored(secret: SecretRow, redactable: boolean | null) {
  return {
    ...renderListed(secret),
    ...(redactable === null ? {} : { redactable }),
    ...(redactable === false ? { warning: TOO_PLAIN } : {}),
  };
}

/** With the value: as text where it is UTF-8, else in base64 with `encoding` saying so. */
export function renderPlaintext(secret: SecretRow, sealed: SealedSecret, value: Redacted) {
  return { ...renderSecret(secret, sealed), ...encode(value) };
}

function encode(value: Redacted): { readonly value: string; readonly encoding?: "base64" } {
  try {
    return { value: value.reveal() };
  } catch {
    return { value: Buffer.from(value.revealBytes()).toString("base64"), encoding: "base64" };
  }
}
