import { Hono } from "hono";
import type { ApiEnv } from "../api/context.ts";
import { idSchema } from "../base/ids.ts";
import { pageSchema } from "../base/page.ts";
import { readQuery } from "../base/query.ts";
import { check, readJson } from "../base/request.ts";
import { respondChange } from "../base/respond-change.ts";
import type { Agent, AgentKey } from "./agents.ts";
import { agentCreateSchema, agentPatchSchema, emptySchema } from "./schemas.ts";

const agentIdSchema = idSchema("agent");
const keyIdSchema = idSchema("agentKey");
const listSchema = pageSchema.strict();

/** `/v1/agents`: admins manage agents and their keys, every member sees them. */
export function agentRoutes(): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();

  routes.post("/", async (c) => {
    const caller = await c.get("auth").member("admin");
    const input = await readJson(c.req.raw, agentCreateSchema);
    const { agent, keyId, apiKey, change } = await c.get("services").agents.create(caller, input);
    return respondChange(c, { ...render(agent), key_id: keyId, api_key: apiKey.reveal() }, change, 201);
  });

  routes.get("/", async (c) => {
    const caller = await c.get("auth").member("admin", "editor", "viewer", "auditor");
    const page = readQuery(c.req.raw, listSchema);
    const { agents, nextCursor } = await c.get("services").agents.list(caller.tenantId, page);
    return c.json({ agents: agents.map(render), next_cursor: nextCursor });
  });

  routes.get("/:id", async (c) => {
    const caller = await c.get("auth").member("admin", "editor", "viewer", "auditor");
    const agentId = check(agentIdSchema, c.req.param("id"));
    const { agent, keys } = await c.get("services").agents.get(caller.tenantId, agentId);
    return c.json({ ...render(agent), keys: keys.map(renderKey) });
  });

  routes.patch("/:id", async (c) => {
    const caller = await c.get("auth").member("admin");
    const agentId = check(agentIdSchema, c.req.param("id"));
    const patch = await readJson(c.req.raw, agentPatchSchema);
    const { agent, change } = await c.get("services").agents.update(caller, agentId, patch);
    return respondChange(c, render(agent), change);
  });

  routes.delete("/:id", async (c) => {
    const caller = await c.get("auth").member("admin");
    const agentId = check(agentIdSchema, c.req.param("id"));
    return respondChange(c, null, await c.get("services").agents.delete(caller, agentId));
  });

  routes.post("/:id/keys", async (c) => {
    const caller = await c.get("auth").member("admin");
    const agentId = check(agentIdSchema, c.req.param("id"));
    await readJson(c.req.raw, emptySchema);
    const { keyId, apiKey, change } = await c.get("services").agents.addKey(caller, agentId);
    return respondChange(c, { id: keyId, agent_id: agentId, api_key: apiKey.reveal() }, change, 201);
  });

  routes.delete("/:id/keys/:key_id", async (c) => {
    const caller = await c.get("auth").member("admin");
    const agentId = check(agentIdSchema, c.req.param("id"));
    const keyId = check(keyIdSchema, c.req.param("key_id"));
    return respondChange(c, null, await c.get("services").agents.removeKey(caller, agentId, keyId));
  });

  return routes;
}

function render(agent: Agent) {
  return {
    id: agent.id,
    name: agent.name,
    description: agent.description,
    allowed_namespaces: agent.allowedNamespaces,
    allowed_scopes: agent.allowedScopes,
    ip_allowlist: agent.ipAllowlist,
    disabled: agent.disabled,
    created_at: new Date(agent.createdAt).toISOString(),
    updated_at: new Date(agent.updatedAt).toISOString(),
  };
}

function renderKey(key: AgentKey) {
  return { id: key.id, created_at: new Date(key.createdAt).toISOString() };
}
