import { Hono } from "hono";
import type { ApiEnv } from "../api/context.ts";
import { bearerCredential } from "../base/bearer.ts";
import { readJson } from "../base/request.ts";
import { respondChange } from "../base/respond-change.ts";
import { bootstrapSchema, freezeSchema, tenantPatchSchema } from "./schemas.ts";
import type { Tenant } from "./tenants.ts";

/** `POST /v1/bootstrap`: the deployment's credential makes the first tenant and its admin, once. */
export function bootstrapRoutes(): Hono<ApiEnv> {
  return new Hono<ApiEnv>().post("/", async (c) => {
    const { members } = c.get("services");
    members.checkBootstrapCredential(bearerCredential(c.req.raw.headers.get("authorization")));
    const { name } = await readJson(c.req.raw, bootstrapSchema);
    const { tenantId, memberId, adminToken } = await members.bootstrap(name, c.get("request"));
    return c.json({ admin_token: adminToken.reveal(), member_id: memberId, tenant_id: tenantId }, 201);
  });
}

/** `/v1/tenant`: its settings, for admins. */
export function tenantRoutes(): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();

  routes.get("/", async (c) => {
    const caller = await c.get("auth").member("admin");
    return c.json(render(await c.get("services").tenants.get(caller.tenantId)));
  });

  routes.patch("/", async (c) => {
    const caller = await c.get("auth").member("admin");
    const patch = await readJson(c.req.raw, tenantPatchSchema);
    const { tenant, change } = await c.get("services").tenants.update(caller, patch);
    return respondChange(c, render(tenant), change);
  });

  return routes;
}

/** `POST /v1/freeze`: the red button, both ways. */
export function freezeRoutes(): Hono<ApiEnv> {
  return new Hono<ApiEnv>().post("/", async (c) => {
    const caller = await c.get("auth").member("admin", "editor");
    const { frozen, reason } = await readJson(c.req.raw, freezeSchema);
    return respondChange(c, { frozen }, await c.get("services").tenants.freeze(caller, frozen, reason));
  });
}

function render(tenant: Tenant) {
  return {
    id: tenant.id,
    name: tenant.name,
    settings: tenant.settings,
    created_at: new Date(tenant.createdAt).toISOString(),
  };
}
