import { z } from "zod";
import { nextCursorSchema, timeSchema } from "../base/answer-parts.ts";
import { idSchema } from "../base/ids.ts";
import { callContextSchema, callRuleSchema } from "./schemas.ts";

/** The answer to a token request. */
export const issuedTokenSchema = z
  .strictObject({
    token: z.string().describe("The token itself, shown this once: `vkt_…`."),
    token_id: idSchema("token"),
    expires_at: timeSchema,
    token_type: z.literal("DPoP").optional().describe("Where it is bound to a key (RFC 9449)."),
  })
  .meta({ id: "IssuedToken" });

/** The answer to a token that asked for a child. */
export const childTokenSchema = z
  .strictObject({
    token: z.string().describe("The token itself, shown this once: `vkt_…`."),
    token_id: idSchema("token"),
    parent_id: idSchema("token"),
    expires_at: timeSchema,
    token_type: z.literal("DPoP").optional().describe("Where it is bound to a key (RFC 9449)."),
  })
  .meta({ id: "ChildToken" });

/** The answer to a token request that waits for people. */
export const heldRequestSchema = z
  .strictObject({
    requires_approval: z.literal(true),
    approval_id: idSchema("approval"),
    status_url: z.string().describe("Where to ask what became of it, with the agent's key."),
    approvals_needed: z.int().describe("By so many different people."),
    expires_at: timeSchema.describe("When it is too late for an answer; approved: to be used."),
    not_before: timeSchema
      .nullable()
      .describe(
        "Approved: the same request is answered with the token from then on. null: not yet approved.",
      ),
  })
  .meta({ id: "HeldRequest" });

const tokenFields = {
  token_id: idSchema("token"),
  agent_id: idSchema("agent"),
  parent_id: idSchema("token").nullable().describe("Of a child: from which token it was made."),
  root_id: idSchema("token").nullable().describe("Of a child: the token that the agent asked for."),
  scopes: z.array(z.string()),
  ip_allowlist: z.array(z.string()).describe("Addresses it may be used from; empty: any."),
  max_uses: z.int().nullable().describe("null: as many as fit its life."),
  rate: z
    .strictObject({ count: z.int(), windowSeconds: z.int() })
    .nullable()
    .describe("So many uses per fixed window; null: as many as come."),
  allow: z.array(callRuleSchema).nullable().describe("null: whatever the scopes cover."),
  tool: z.string().nullable(),
  user: z.string().nullable(),
  dpop_jkt: z.string().nullable().describe("The thumbprint of the key it is bound to; null: none."),
  context: callContextSchema,
  issued_at: timeSchema,
  expires_at: timeSchema,
  revoked_at: timeSchema.nullable(),
};

/** A token as lists show it: never the token itself. */
const tokenSchema = z.strictObject(tokenFields).meta({ id: "Token" });

export const tokenListSchema = z.strictObject({
  tokens: z.array(tokenSchema),
  next_cursor: nextCursorSchema,
});

export const tokenStateSchema = z.strictObject({
  ...tokenFields,
  uses: z.int().describe("How often it was charged."),
  revoked: z.boolean(),
});

/** What a bulk revocation reaches: exactly one of them. */
export const revokedSchema = z.strictObject({
  revoked: z.union([
    z.strictObject({ agent: idSchema("agent") }),
    z.strictObject({ secret: z.string() }),
    z.strictObject({ connection: z.string() }),
    z.strictObject({ class: z.string() }),
    z.strictObject({ tenant: z.literal("*") }),
  ]),
});

/** RFC 7662 §2.2. */
export const introspectionAnswerSchema = z.union([
  z.strictObject({ active: z.literal(false) }),
  z.strictObject({
    active: z.literal(true),
    scope: z.string().describe("Scopes, separated by spaces."),
    client_id: idSchema("agent"),
    sub: idSchema("agent"),
    token_type: z.enum(["Bearer", "DPoP"]),
    cnf: z.strictObject({ jkt: z.string() }).optional().describe("RFC 9449 §6.2: of one bound to a key."),
    jti: idSchema("token"),
    iat: z.int().describe("Seconds since 1970."),
    exp: z.int().describe("Seconds since 1970."),
    uses: z.int(),
    max_uses: z.int().nullable(),
  }),
]);
