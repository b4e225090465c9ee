import { z } from "zod";
import { cidrSchema } from "../base/address.ts";
import { namespaceGlobSchema, scopeSchema } from "../base/scope.ts";

export interface TenantSettings {
  /** Whether agents may read plaintext where neither the secret nor its namespace says otherwise. */
  readonly reveal: "allow" | "deny";
}

const NOTHING_TO_CHANGE = "must name what is to change";

const nonEmpty = (patch: object) => Object.keys(patch).length > 0;

export const tenantPatchSchema = z
  .strictObject({ reveal: z.enum(["allow", "deny"]).optional() })
  .refine(nonEmpty, NOTHING_TO_CHANGE);
export type TenantPatch = z.infer<typeof tenantPatchSchema>;

export const bootstrapSchema = z.strictObject({ name: z.string().min(1).max(100) });

export const freezeSchema = z.strictObject({ frozen: z.boolean(), reason: z.string().min(1).max(500) });

export const agentCreateSchema = z.strictObject({
  name: z.string().min(1).max(100),
  description: z.string().max(500).default(""),
  allowed_namespaces: z.array(namespaceGlobSchema).max(50).default([]),
  allowed_scopes: z.array(scopeSchema).max(100).default([]),
  ip_allowlist: z.array(cidrSchema).max(100).default([]),
});
export type AgentCreate = z.infer<typeof agentCreateSchema>;

export const agentPatchSchema = z
  .strictObject({
    name: z.string().min(1).max(100).optional(),
    description: z.string().max(500).optional(),
    allowed_namespaces: z.array(namespaceGlobSchema).max(50).optional(),
    allowed_scopes: z.array(scopeSchema).max(100).optional(),
    ip_allowlist: z.array(cidrSchema).max(100).optional(),
    disabled: z.boolean().optional(),
  })
  .refine(nonEmpty, NOTHING_TO_CHANGE);
export type AgentPatch = z.infer<typeof agentPatchSchema>;

export const emptySchema = z.strictObject({});
