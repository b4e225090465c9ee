import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { respondChange } from "../base/respond-change.ts";
import { secretSettings } from "../base/tenant-settings.ts";
import { bootstrappedSchema, frozenSchema, tenantSchema } from "./responses.ts";
import { bootstrapSchema, freezeSchema, tenantPatchSchema } from "./schemas.ts";
import type { Tenant } from "./tenants.ts";

const endpoint = declareFor<Api>();

/** The tenant's beginning, its settings and the red button. */
export const tenantEndpoints = [
  endpoint({
    method: "POST",
    path: "/v1/bootstrap",
    operationId: "bootstrap",
    tag: "Deployment",
    summary: "Make the first tenant and its admin",
    description: "Takes the deployment's bootstrap credential, and works once in the life of a deployment.",
    access: "bootstrap",
    body: bootstrapSchema,
    responses: { 201: bootstrappedSchema },
    errors: ["CONFLICT"],
    handler: async ({ body, c }) => {
      const { members } = c.get("services");
      const { tenantId, memberId, adminToken } = await members.bootstrap(body.name, c.get("request"));
      return c.json({ admin_token: adminToken.reveal(), member_id: memberId, tenant_id: tenantId }, 201);
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/tenant",
    operationId: "getTenant",
    tag: "Tenant",
    summary: "The tenant and its settings",
    access: { roles: ["admin"] },
    responses: { 200: tenantSchema },
    handler: async ({ caller, c }) => c.json(render(await c.get("services").tenants.get(caller.tenantId))),
  }),

  endpoint({
    method: "PATCH",
    path: "/v1/tenant",
    operationId: "updateTenant",
    tag: "Tenant",
    summary: "Change the tenant's settings",
    access: { roles: ["admin"] },
    body: tenantPatchSchema,
    responses: { 200: tenantSchema },
    change: true,
    handler: async ({ caller, body, c }) => {
      const { tenant, change } = await c.get("services").tenants.update(caller, body);
      return respondChange(c, render(tenant), change);
    },
  }),

  endpoint({
    method: "POST",
    path: "/v1/freeze",
    operationId: "freeze",
    tag: "Tenant",
    summary: "Stop all tokens of the tenant, or let them go on",
    access: { roles: ["admin", "editor"] },
    body: freezeSchema,
    responses: { 200: frozenSchema },
    change: true,
    handler: async ({ caller, body: { frozen, reason }, c }) =>
      respondChange(c, { frozen }, await c.get("services").tenants.freeze(caller, frozen, reason)),
  }),
];

function render(tenant: Tenant) {
  return {
    id: tenant.id,
    name: tenant.name,
    settings: { reveal: tenant.settings.reveal, ...secretSettings(tenant.settings) },
    created_at: new Date(tenant.createdAt).toISOString(),
  };
}
