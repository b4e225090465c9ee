import { z } from "zod";
import type { Api } from "../api/context.ts";
import { systemClock } from "../base/clock.ts";
import { declareFor } from "../base/endpoint.ts";
import { idSchema } from "../base/ids.ts";
import { pageSchema } from "../base/page.ts";
import { respondChange } from "../base/respond-change.ts";
import type { AgentKey } from "./agent-keys.ts";
import type { Agent } from "./agent-rows.ts";
import {
  agentCreatedSchema,
  agentKeyCreatedSchema,
  agentListSchema,
  agentSchema,
  agentWithKeysSchema,
} from "./responses.ts";
import { ageDays, keyWarnings } from "./key-age.ts";
import { agentCreateSchema, agentKeyCreateSchema, agentPatchSchema } from "./schemas.ts";

const endpoint = declareFor<Api>();
const tag = "Agents";
const READERS = ["admin", "editor", "viewer", "auditor"] as const;
const agentParams = z.strictObject({ id: idSchema("agent") });

/** `/v1/agents`: admins manage agents and their keys, every member sees them. */
export const agentEndpoints = [
  endpoint({
    method: "POST",
    path: "/v1/agents",
    operationId: "createAgent",
    tag,
    summary: "Make an agent and its first key",
    access: { roles: ["admin"] },
    stepUp: true,
    body: agentCreateSchema,
    responses: { 201: agentCreatedSchema },
    change: true,
    handler: async ({ caller, body: input, c }) => {
      const { agent, keyId, apiKey, change } = await c.get("services").agents.create(caller, input);
      const body = { ...render(agent), key_id: keyId, api_key: apiKey.reveal() };
      return respondChange(c, body, change, 201);
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/agents",
    operationId: "listAgents",
    tag,
    summary: "All agents",
    access: { roles: READERS },
    query: pageSchema.strict(),
    responses: { 200: agentListSchema },
    handler: async ({ caller, query, c }) => {
      const { agents, nextCursor } = await c.get("services").agents.list(caller.tenantId, query);
      return c.json({ agents: agents.map(render), next_cursor: nextCursor });
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/agents/{id}",
    operationId: "getAgent",
    tag,
    summary: "One agent with its keys",
    access: { roles: READERS },
    params: agentParams,
    responses: { 200: agentWithKeysSchema },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params, c }) => {
      const { agent, keys } = await c.get("services").agents.get(caller.tenantId, params.id);
      return c.json({ ...render(agent), keys: keys.map(renderKey) });
    },
  }),

  endpoint({
    method: "PATCH",
    path: "/v1/agents/{id}",
    operationId: "updateAgent",
    tag,
    summary: "Change, disable or enable an agent",
    access: { roles: ["admin"] },
    stepUp: true,
    params: agentParams,
    body: agentPatchSchema,
    responses: { 200: agentSchema },
    errors: ["NOT_FOUND"],
    change: true,
    handler: async ({ caller, params, body, c }) => {
      const { agent, change } = await c.get("services").agents.update(caller, params.id, body);
      return respondChange(c, render(agent), change);
    },
  }),

  endpoint({
    method: "DELETE",
    path: "/v1/agents/{id}",
    operationId: "deleteAgent",
    tag,
    summary: "Delete an agent, its keys and its tokens",
    access: { roles: ["admin"] },
    params: agentParams,
    responses: { 204: null },
    errors: ["NOT_FOUND"],
    change: true,
    handler: async ({ caller, params, c }) =>
      respondChange(c, null, await c.get("services").agents.delete(caller, params.id)),
  }),

  endpoint({
    method: "POST",
    path: "/v1/agents/{id}/keys",
    operationId: "createAgentKey",
    tag,
    summary: "Add a key, to rotate",
    access: { roles: ["admin"] },
    stepUp: true,
    params: agentParams,
    body: agentKeyCreateSchema,
    responses: { 201: agentKeyCreatedSchema },
    errors: ["NOT_FOUND", "CONFLICT"],
    change: true,
    handler: async ({ caller, params, body, c }) => {
      const key = await c.get("services").agents.keys.add(caller, params.id, body);
      const { keyId, apiKey, name, change } = key;
      const expiry = { name, expires_at: isoOrNull(key.expiresAt) };
      const shown = { id: keyId, agent_id: params.id, ...expiry, api_key: apiKey.reveal() };
      return respondChange(c, shown, change, 201);
    },
  }),

  endpoint({
    method: "DELETE",
    path: "/v1/agents/{id}/keys/{key_id}",
    operationId: "deleteAgentKey",
    tag,
    summary: "Remove a key",
    access: { roles: ["admin"] },
    stepUp: true,
    params: agentParams.extend({ key_id: idSchema("agentKey") }),
    responses: { 204: null },
    errors: ["NOT_FOUND"],
    change: true,
    handler: async ({ caller, params, c }) =>
      respondChange(c, null, await c.get("services").agents.keys.remove(caller, params.id, params.key_id)),
  }),
];

function render(agent: Agent) {
  return {
    id: agent.id,
    name: agent.name,
    description: agent.description,
    allowed_namespaces: agent.allowedNamespaces,
    allowed_scopes: agent.allowedScopes,
    ip_allowlist: agent.ipAllowlist,
    trust_tier: agent.trustTier,
    disabled: agent.disabled,
    last_seen_at: isoOrNull(agent.lastSeenAt),
    created_at: new Date(agent.createdAt).toISOString(),
    updated_at: new Date(agent.updatedAt).toISOString(),
  };
}

function renderKey(key: AgentKey) {
  const now = systemClock();
  return {
    id: key.id,
    name: key.name,
    created_at: new Date(key.createdAt).toISOString(),
    last_used_at: isoOrNull(key.lastUsedAt),
    expires_at: isoOrNull(key.expiresAt),
    age_days: ageDays(key, now),
    warnings: [...keyWarnings(key, now)],
  };
}

function isoOrNull(milliseconds: number | null): string | null {
  return milliseconds === null ? null : new Date(milliseconds).toISOString();
}
