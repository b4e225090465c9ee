import { z } from "zod";
import { pageSchema } from "../base/page.ts";
import { CASE_KINDS, CASE_STATUSES } from "./case.ts";

export const approvalStatusSchema = z.enum(CASE_STATUSES);
export const approvalKindSchema = z.enum(CASE_KINDS);

export const approvalListQuerySchema = pageSchema
  .extend({ status: approvalStatusSchema.optional(), kind: approvalKindSchema.optional() })
  .strict();

const reasonSchema = z.string().trim().min(1).max(500);

export const approveSchema = z.strictObject({
  comment: reasonSchema.optional(),
  granted: z
    .record(z.string(), z.unknown())
    .optional()
    .describe("Of a permission: what is granted instead of what was asked for, which must be no more."),
});

export const denySchema = z.strictObject({ reason: reasonSchema.describe("The agent is told.") });

export const cancelSchema = z.strictObject({ reason: reasonSchema.optional() });
