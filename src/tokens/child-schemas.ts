import type { z } from "zod";
import { tokenRequestSchema } from "./schemas.ts";

const { scopes, ttl, max_uses, ip_allowlist, rate, allow, tool, user, dpop_jkt, context } =
  tokenRequestSchema.shape;

/** `POST /v1/tokens/child`: what the child may do, all of it within what the token that asks may. */
export const childTokenRequestSchema = tokenRequestSchema
  .pick({ scopes: true })
  .extend({
    scopes: scopes.describe("Within the parent's scopes."),
    ttl: ttl.optional().describe("No longer than the parent lives; left out: as long."),
    max_uses: max_uses.describe("At most the parent's; left out: as many as the parent has left."),
    ip_allowlist: ip_allowlist.describe("Within the parent's; empty: the parent's."),
    rate: rate.describe("The parent's rate counts the child's uses as well."),
    allow: allow.describe("Within the parent's; left out: the parent's."),
    tool: tool.describe("The parent's stands, where it has one."),
    user: user.describe("The parent's stands, where it has one."),
    dpop_jkt: dpop_jkt.describe(
      "A key of its own (RFC 7638 thumbprint); left out: the parent's, if it has one.",
    ),
    context: context.describe("Added to the parent's; only `reason` may differ from it."),
  })
  .strict();
export type ChildTokenRequest = z.infer<typeof childTokenRequestSchema>;
