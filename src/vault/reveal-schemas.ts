import { z } from "zod";
import { nextCursorSchema, timeSchema } from "../base/answer-parts.ts";
import { durationSchema } from "../base/duration.ts";
import { idSchema } from "../base/ids.ts";

/** The first segment is spelled out: nobody is let into everything there is by one `*`. */
const PATTERN = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\/[A-Za-z0-9._*/-]{1,383}$/;

export const revealGrantCreateSchema = z.strictObject({
  path: z
    .string()
    .regex(PATTERN, 'must be a secret\'s path or a glob such as "production/payments/*"')
    .describe("A secret's path; `*` stands for any run of characters, but not in the first segment."),
  reason: z.string().trim().min(10).max(500).describe("Told to all admins, and kept in the trail."),
  ttl: durationSchema({ minSeconds: 60, maxSeconds: 3_600, example: "15m" }),
});
export type RevealGrantCreate = z.infer<typeof revealGrantCreateSchema>;

export const revealSchema = z.strictObject({
  version: z.number().int().min(1).max(1_000_000_000).optional().describe("Left out: the current one."),
});

export const revealGrantSchema = z
  .strictObject({
    id: idSchema("revealGrant"),
    member_id: idSchema("member"),
    path: z.string(),
    reason: z.string(),
    ttl_seconds: z.int(),
    status: z
      .enum(["pending", "active", "ended"])
      .describe("`pending`: waits for a second person, since it covers a critical secret."),
    requested_at: timeSchema,
    starts_at: timeSchema.nullable(),
    expires_at: timeSchema.describe("When it ends by itself; while it is pending: when it stops waiting."),
    approved_by: idSchema("member").nullable(),
    ended_at: timeSchema.nullable(),
    ended_by: idSchema("member").nullable().describe("Null where it ended by itself."),
  })
  .meta({ id: "RevealGrant" });

export const revealGrantListSchema = z.strictObject({
  reveal_grants: z.array(revealGrantSchema),
  next_cursor: nextCursorSchema,
});
