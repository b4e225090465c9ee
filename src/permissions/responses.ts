import { z } from "zod";
import { nextCursorSchema, timeSchema } from "../base/answer-parts.ts";
import { idSchema } from "../base/ids.ts";
import { shownCallsSchema, shownScopeSchema, shownValueSchema } from "../tokens/permission-schemas.ts";
import { DECLARED_KINDS } from "./action-schemas.ts";
import { PERMISSION_STATUSES } from "./schemas.ts";

/** An action as it is declared. */
export const actionSchema = z
  .strictObject({
    name: z.string(),
    version: z.int().describe("Up by one with every change."),
    description: z.string().nullable(),
    calls: shownCallsSchema
      .extend({ fields: z.array(z.string()).nullable().describe("null: any.") })
      .nullable()
      .describe("null: used outside of the gateway."),
    constraints: z.record(
      z.string(),
      z.strictObject({
        kind: z.enum(DECLARED_KINDS),
        field: z.string().nullable(),
        also: z.array(z.string()),
        required: z.boolean(),
        default: shownValueSchema.nullable(),
        cap: shownValueSchema.nullable(),
        as: z.literal("text").nullable(),
        description: z.string().nullable(),
      }),
    ),
    resource_field: z.string().nullable(),
    default_ttl_seconds: z.int(),
    max_ttl_seconds: z.int(),
    max_uses: z.int(),
    approvals: z.int(),
    templates: z.record(
      z.string(),
      z.strictObject({
        description: z.string().nullable(),
        scope: shownScopeSchema,
        ttl_seconds: z.int().nullable(),
        max_uses: z.int().nullable(),
      }),
    ),
    created_at: timeSchema,
    updated_at: timeSchema,
  })
  .meta({ id: "Action" });

export const actionListSchema = z.strictObject({
  actions: z.array(actionSchema),
  next_cursor: nextCursorSchema,
});

/** A permission as it is right now. */
export const permissionSchema = z
  .strictObject({
    id: idSchema("permission"),
    status: z.enum(PERMISSION_STATUSES),
    agent_id: idSchema("agent"),
    action: z.string(),
    action_version: z.int(),
    resource: z.string().nullable(),
    template: z.string().nullable(),
    scope: shownScopeSchema.describe("What is granted, or would be: no more than was asked for."),
    requested_scope: shownScopeSchema,
    narrowed: z.boolean().describe("Whether that is less than what was asked for."),
    narrowed_fields: z.array(z.string()).describe("In what: members of the scope, `ttl`, `max_uses`."),
    calls: shownCallsSchema
      .nullable()
      .describe("What its token may call; null: used outside of the gateway."),
    max_uses: z.int(),
    uses_left: z.int().nullable().describe("null where it cannot be used."),
    ttl_seconds: z.int().describe("How long its token lives, from when it is handed out."),
    context: z.record(z.string(), z.unknown()),
    approval_id: idSchema("approval").nullable(),
    approvals_needed: z.int(),
    reason: z.string().nullable().describe("Why it was denied."),
    dpop_jkt: z
      .string()
      .nullable()
      .describe("The key that its token is bound to: each use must prove it. It was asked for with a proof."),
    token_id: idSchema("token").nullable().describe("null until it is handed out."),
    token: z.string().optional().describe("The token itself, shown to the agent this once: `vkt_…`."),
    requested_at: timeSchema,
    granted_at: timeSchema.nullable().describe("When its token was handed out."),
    expires_at: timeSchema.describe("Pending: too late for an answer. Granted: its token ends."),
  })
  .meta({ id: "Permission" });

export const permissionListSchema = z.strictObject({
  permissions: z.array(permissionSchema),
  next_cursor: nextCursorSchema,
});

/** Whether a token is good for a use right now. */
export const permissionVerdictSchema = z
  .strictObject({
    valid: z.boolean(),
    status: z.enum(PERMISSION_STATUSES).nullable().describe("null where the permission is not yours to see."),
    action: z.string().nullable(),
    resource: z.string().nullable(),
    scope: shownScopeSchema.nullable(),
    uses_left: z.int().nullable(),
    expires_at: timeSchema.nullable(),
  })
  .meta({ id: "PermissionVerdict" });

export const permissionUsedSchema = z
  .strictObject({
    id: idSchema("permission"),
    status: z.enum(["approved", "used"]),
    uses_left: z.int(),
  })
  .meta({ id: "PermissionUse" });
