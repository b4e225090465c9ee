import { z } from "zod";

/**
 * Identifiers: a short prefix that says what it is, and 96 random bits in lower-case hex. A tenant's is 64 bits,
 * since it stands in every token. A tenant's and a token's may have a jurisdiction before them (jurisdiction.ts).
 */
const PREFIXES = {
  tenant: { prefix: "ten", bytes: 8 },
  token: { prefix: "tok", bytes: 12 },
  agent: { prefix: "agt", bytes: 12 },
  agentKey: { prefix: "akey", bytes: 12 },
  trust: { prefix: "tru", bytes: 12 },
  member: { prefix: "mem", bytes: 12 },
  session: { prefix: "ses", bytes: 12 },
  identityProvider: { prefix: "idp", bytes: 12 },
  passkey: { prefix: "pkey", bytes: 12 },
  enrolment: { prefix: "enr", bytes: 12 },
  revealGrant: { prefix: "rvl", bytes: 12 },
  secret: { prefix: "sec", bytes: 12 },
  version: { prefix: "ver", bytes: 12 },
  connection: { prefix: "con", bytes: 12 },
  approval: { prefix: "apr", bytes: 12 },
  policy: { prefix: "pol", bytes: 12 },
  permission: { prefix: "perm", bytes: 12 },
  budget: { prefix: "bud", bytes: 12 },
  webhook: { prefix: "whk", bytes: 12 },
  delivery: { prefix: "dlv", bytes: 12 },
  event: { prefix: "evt", bytes: 12 },
  call: { prefix: "call", bytes: 12 },
  request: { prefix: "req", bytes: 12 },
} as const;

type Kind = keyof typeof PREFIXES;
type IdOf<K extends Kind> = string & z.core.$brand<K>;

export type TenantId = IdOf<"tenant">;
export type TokenId = IdOf<"token">;
export type AgentId = IdOf<"agent">;
export type AgentKeyId = IdOf<"agentKey">;
export type TrustRuleId = IdOf<"trust">;
export type MemberId = IdOf<"member">;
export type SessionId = IdOf<"session">;
export type IdentityProviderId = IdOf<"identityProvider">;
export type PasskeyId = IdOf<"passkey">;
export type EnrolmentId = IdOf<"enrolment">;
export type RevealGrantId = IdOf<"revealGrant">;
export type SecretId = IdOf<"secret">;
export type VersionId = IdOf<"version">;
export type ConnectionId = IdOf<"connection">;
export type ApprovalId = IdOf<"approval">;
export type PolicyId = IdOf<"policy">;
export type PermissionId = IdOf<"permission">;
export type BudgetId = IdOf<"budget">;
export type WebhookId = IdOf<"webhook">;
export type DeliveryId = IdOf<"delivery">;

/** Lower-case hex of bytes. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

/** Random bytes are drawn for many ids at once: each draw is a call into the platform. */
const POOL_BYTES = 960;
let pool = "";
let drawn = 0;

/** A fresh identifier of a kind. */
export function newId<K extends Kind>(kind: K): IdOf<K> {
  const { prefix, bytes } = PREFIXES[kind];
  if (drawn + bytes * 2 > pool.length) {
    pool = toHex(crypto.getRandomValues(new Uint8Array(POOL_BYTES)));
    drawn = 0;
  }
  const id = pool.slice(drawn, drawn + bytes * 2);
  drawn += bytes * 2;
  return `${prefix}_${id}` as IdOf<K>;
}

/** The identifier made of given random bytes (a token carries its ids as bytes). */
export function idFromBytes<K extends Kind>(kind: K, bytes: Uint8Array): IdOf<K> {
  return `${PREFIXES[kind].prefix}_${toHex(bytes)}` as IdOf<K>;
}

/** The random bytes of an identifier. */
export function idBytes(id: string): Uint8Array {
  return Buffer.from(id.slice(id.lastIndexOf("_") + 1), "hex");
}

/** A zod schema for one kind of identifier: parsed once at the door, trusted inside. */
export function idSchema<K extends Kind>(kind: K) {
  const { prefix, bytes } = PREFIXES[kind];
  const region = kind === "tenant" || kind === "token" ? "(?:eu_|fedramp_)?" : "";
  return z
    .string()
    .regex(
      new RegExp(`^${prefix}_${region}[0-9a-f]{${bytes * 2}}$`),
      `must look like ${prefix}_ and ${bytes * 2} hex digits`,
    )
    .transform((value) => value as IdOf<K>);
}
