import { z } from "zod";
import { atMostAsJson } from "../base/bounds.ts";
import { durationSchema } from "../base/duration.ts";
import { idSchema } from "../base/ids.ts";
import { pageSchema } from "../base/page.ts";
import { MAX_WAIT_SECONDS } from "../base/wait-query.ts";
import { actionNameSchema, resourceSchema, scopeSchema, templateNameSchema } from "./action-schemas.ts";

const MAX_CONTEXT = 4_096;
const MAX_DETAILS = 65_536;

export const PERMISSION_STATUSES = ["pending", "approved", "denied", "expired", "revoked", "used"] as const;
/** How a permission stands right now. */
export type PermissionStatus = (typeof PERMISSION_STATUSES)[number];

/** What it is about and why, as people are shown it. */
const contextSchema = z
  .record(z.string().min(1).max(64), z.unknown())
  .refine(...atMostAsJson(MAX_CONTEXT))
  .default({})
  .describe("Why it is asked for: `reason`, `triggered_by`, `user_id` and whatever else tells people.");

export const permissionRequestSchema = z.strictObject({
  action: actionNameSchema,
  resource: resourceSchema.optional().describe("What it is about, such as a charge's id."),
  scope: scopeSchema.default({}),
  template: templateNameSchema
    .optional()
    .describe("A scope that the action has a name for; `scope` narrows it."),
  context: contextSchema,
  ttl: durationSchema({ minSeconds: 1, maxSeconds: 86_400, example: "5m" })
    .optional()
    .describe("How long its token lives; left out: as the action says."),
  max_uses: z.int().min(1).max(1_000_000).optional().describe("Left out: 1, or what the scope counts."),
  wait_for_approval: z
    .union([z.boolean(), z.int().min(0).max(MAX_WAIT_SECONDS)])
    .default(false)
    .describe(`Answer once people have, after so many seconds at most; true: ${MAX_WAIT_SECONDS}.`),
});
export type PermissionRequest = z.infer<typeof permissionRequestSchema>;

export const permissionListQuerySchema = pageSchema
  .extend({ status: z.enum(PERMISSION_STATUSES).optional(), agent: idSchema("agent").optional() })
  .strict();
export type PermissionListQuery = z.infer<typeof permissionListQuerySchema>;

const tokenSchema = z.string().min(1).max(4_096);

export const permissionTokenSchema = z.strictObject({ token: tokenSchema });

export const permissionUseSchema = z.strictObject({
  token: tokenSchema,
  details: z
    .record(z.string().min(1).max(200), z.unknown())
    .refine(...atMostAsJson(MAX_DETAILS))
    .default({})
    .describe("What is about to be done, for the constraints: `{amount, recipient…}`."),
});

/** What an approver grants instead of what was asked for: no more than it. */
export const narrowingSchema = z
  .strictObject({
    scope: scopeSchema.optional(),
    ttl: durationSchema({ minSeconds: 1, maxSeconds: 86_400, example: "5m" }).optional(),
    max_uses: z.int().min(1).max(1_000_000).optional(),
  })
  .refine((narrowing) => Object.keys(narrowing).length > 0, "must narrow something");
