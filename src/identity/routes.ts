import type { Api } from "../api/context.ts";
import { bearerCredential } from "../base/bearer.ts";
import { declareFor } from "../base/endpoint.ts";
import { respondChange } from "../base/respond-change.ts";
import { secretSettings } from "../base/tenant-settings.ts";
import { bootstrappedSchema, frozenSchema, tenantCreatedSchema, tenantSchema } from "./responses.ts";
import { bootstrapSchema, freezeSchema, tenantCreateSchema, tenantPatchSchema } from "./schemas.ts";
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
    method: "POST",
    path: "/v1/tenants",
    operationId: "createTenant",
    tag: "Deployment",
    summary: "Make another tenant",
    description:
      "Nobody is in it: its bootstrap credential makes its first admin at `POST /v1/tenants/bootstrap`. The operator sees nothing of it.",
    access: "operator",
    body: tenantCreateSchema,
    responses: { 201: tenantCreatedSchema },
    handler: async ({ body, c }) => {
      const { tenantCreation } = c.get("services");
      const made = await tenantCreation.create(body, c.get("request"));
      return c.json(
        {
          id: made.tenantId,
          name: body.name,
          jurisdiction: made.jurisdiction,
          bootstrap_credential: made.bootstrapCredential.reveal(),
          bootstrap_expires_at: new Date(made.bootstrapExpiresAt).toISOString(),
        },
        201,
      );
    },
  }),

  endpoint({
    method: "POST",
    path: "/v1/tenants/bootstrap",
    operationId: "bootstrapTenant",
    tag: "Deployment",
    summary: "Make another tenant's first admin",
    description: "Takes the bootstrap credential that came with the tenant, as a bearer, and works once.",
    access: "public",
    responses: { 201: bootstrappedSchema },
    errors: ["UNAUTHORIZED", "CONFLICT"],
    handler: async ({ c }) => {
      const credential = bearerCredential(c.req.raw.headers.get("authorization"));
      const made = await c.get("services").tenantCreation.begin(credential, c.get("request"));
      const { tenantId, memberId, adminToken } = made;
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
    stepUp: true,
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
    errors: ["STEP_UP_REQUIRED"],
    change: true,
    handler: async ({ caller, body: { frozen, reason }, c }) =>
      respondChange(c, { frozen }, await c.get("services").tenants.freeze(caller, frozen, reason)),
  }),
];

function render(tenant: Tenant) {
  return {
    id: tenant.id,
    name: tenant.name,
    jurisdiction: tenant.jurisdiction,
    settings: { reveal: tenant.settings.reveal, ...secretSettings(tenant.settings) },
    created_at: new Date(tenant.createdAt).toISOString(),
  };
}
