import type { Redacted } from "../base/redacted.ts";
import { splitSecretPath } from "../base/secret-path.ts";
import { DAY_MS } from "../base/tenant-settings.ts";
import type { SealedSecret, SecretRow } from "./sealed-secret.ts";

const TOO_PLAIN =
  "The value is shorter than 8 bytes or repeats itself: it could not be found safely in a response, so connections cannot use it.";

const SOON_MS = 14 * DAY_MS;
const EXPIRED = "The secret has expired: give it a new `expires_at`.";

/** A secret as lists and changes show it: never its value. `now` is in milliseconds since 1970. */
export function renderListed(secret: SecretRow, now: number) {
  const left = secret.expiresAt === null ? Infinity : secret.expiresAt - now;
  return {
    path: secret.path,
    ...splitSecretPath(secret.path),
    version: secret.currentVersion,
    secret_type: secret.secretType,
    access_tier: secret.accessTier,
    metadata: secret.metadata,
    tags: secret.tags,
    allowed_hosts: secret.allowedHosts,
    reveal: secret.reveal,
    expires_at: secret.expiresAt === null ? null : new Date(secret.expiresAt).toISOString(),
    expired: left <= 0,
    expires_soon: left > 0 && left <= SOON_MS,
    rotation_due: secret.rotationDueAt !== null,
    rotation_due_at: secret.rotationDueAt === null ? null : new Date(secret.rotationDueAt).toISOString(),
    rotation_reason: secret.rotationReason,
    created_at: new Date(secret.createdAt).toISOString(),
    updated_at: new Date(secret.updatedAt).toISOString(),
  };
}

/** A deleted one, which a path may have several of. */
export function renderDeleted(secret: SecretRow, now: number) {
  return {
    ...renderListed(secret, now),
    id: secret.id,
    deleted_at: new Date(secret.deletedAt ?? 0).toISOString(),
    recoverable_until: new Date(secret.purgeAt ?? 0).toISOString(),
  };
}

/** One version of it. */
export function renderSecret(secret: SecretRow, sealed: SealedSecret, now: number) {
  return { ...renderListed(secret, now), version: sealed.version, redactable: sealed.redactable };
}

/** The answer to a change; says why where the value is not for connections (attack 44). */
export function renderStored(secret: SecretRow, redactable: boolean | null, now: number) {
  const listed = renderListed(secret, now);
  const warning = redactable === false ? TOO_PLAIN : listed.expired ? EXPIRED : null;
  return {
    ...listed,
    ...(redactable === null ? {} : { redactable }),
    ...(warning === null ? {} : { warning }),
  };
}

/** With the value: as text where it is UTF-8, else in base64 with `encoding` saying so. */
export function renderPlaintext(secret: SecretRow, sealed: SealedSecret, value: Redacted, now: number) {
  return { ...renderSecret(secret, sealed, now), ...encode(value) };
}

function encode(value: Redacted): { readonly value: string; readonly encoding?: "base64" } {
  try {
    return { value: value.reveal() };
  } catch {
    return { value: Buffer.from(value.revealBytes()).toString("base64"), encoding: "base64" };
  }
}
