import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { pageSchema } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import { respondChange } from "../base/respond-change.ts";
import type { Connection } from "./connection.ts";
import type { Provider } from "./provider.ts";
import { providers } from "./providers.ts";
import { connectionListSchema, connectionSchema, providerListSchema, providerSchema } from "./responses.ts";
import { connectionCreateSchema, connectionPatchSchema, slugSchema } from "./schemas.ts";

const endpoint = declareFor<Api>();
const tag = "Connections";
const WRITERS = ["admin", "editor"] as const;
const READERS = ["admin", "editor", "viewer"] as const;
const connectionParams = z.strictObject({ slug: slugSchema });

/** What a connection's secrets and destination can be refused for. */
const REFUSED = ["SECRET_NOT_FOUND", "SECRET_UNUSABLE", "DESTINATION_DENIED", "APPROVAL_REQUIRED"] as const;

/** `/v1/connections`: admins and editors manage them, viewers see them. */
export const connectionEndpoints = [
  endpoint({
    method: "POST",
    path: "/v1/connections",
    operationId: "createConnection",
    tag,
    summary: "Connect a provider of the catalogue, or one of your own",
    access: { roles: WRITERS },
    body: connectionCreateSchema,
    responses: { 201: connectionSchema },
    errors: ["CONFLICT", ...REFUSED],
    change: true,
    handler: async ({ caller, body, c }) => {
      const { connection, change } = await c.get("services").connections.create(caller, body);
      return respondChange(c, render(connection), change, 201);
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/connections",
    operationId: "listConnections",
    tag,
    summary: "All connections",
    access: { roles: READERS },
    query: pageSchema.strict(),
    responses: { 200: connectionListSchema },
    handler: async ({ caller, query, c }) => {
      const { connections, nextCursor } = await c.get("services").connections.list(caller.tenantId, query);
      return c.json({ connections: connections.map(render), next_cursor: nextCursor });
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/connections/{slug}",
    operationId: "getConnection",
    tag,
    summary: "One connection",
    access: { roles: READERS },
    params: connectionParams,
    responses: { 200: connectionSchema },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params, c }) =>
      c.json(render(await c.get("services").connections.get(caller.tenantId, params.slug))),
  }),

  endpoint({
    method: "PATCH",
    path: "/v1/connections/{slug}",
    operationId: "updateConnection",
    tag,
    summary: "Change a connection; its slug and provider stay",
    access: { roles: WRITERS },
    params: connectionParams,
    body: connectionPatchSchema,
    responses: { 200: connectionSchema },
    errors: ["NOT_FOUND", "CONFLICT", ...REFUSED],
    change: true,
    handler: async ({ caller, params, body, c }) => {
      const { connection, change } = await c.get("services").connections.update(caller, params.slug, body);
      return respondChange(c, render(connection), change);
    },
  }),

  endpoint({
    method: "DELETE",
    path: "/v1/connections/{slug}",
    operationId: "deleteConnection",
    tag,
    summary: "Delete a connection",
    access: { roles: WRITERS },
    params: connectionParams,
    responses: { 204: null },
    errors: ["NOT_FOUND", "CONFLICT"],
    change: true,
    handler: async ({ caller, params, c }) =>
      respondChange(c, null, await c.get("services").connections.remove(caller, params.slug)),
  }),
];

/** `/v1/providers`: the catalogue, for whoever has a credential of any kind. */
export const providerEndpoints = [
  endpoint({
    method: "GET",
    path: "/v1/providers",
    operationId: "listProviders",
    tag: "Providers",
    summary: "The catalogue of providers",
    access: "any",
    responses: { 200: providerListSchema },
    handler: ({ c }) => c.json({ providers: [...providers.values()].map(renderProvider) }),
  }),

  endpoint({
    method: "GET",
    path: "/v1/providers/{id}",
    operationId: "getProvider",
    tag: "Providers",
    summary: "One provider of the catalogue",
    access: "any",
    params: z.strictObject({ id: z.string() }),
    responses: { 200: providerSchema },
    errors: ["NOT_FOUND"],
    handler: ({ params, c }) => {
      const provider = providers.get(params.id);
      if (provider === undefined) {
        throw new Problem("NOT_FOUND", "There is no such provider in the catalogue.", {
          why: "Connect it as one of your own, with `base_url` and `credential`.",
        });
      }
      return c.json(renderProvider(provider));
    },
  }),
];

function render(connection: Connection) {
  return {
    slug: connection.slug,
    provider: connection.provider,
    base_url: connection.baseUrl,
    credential: connection.credential,
    secrets: connection.secrets,
    allow: connection.allow,
    limits: connection.limits,
    references: connection.references,
    websockets: connection.websockets,
    redact: connection.redact,
    default: connection.default,
    gateway_url: `/proxy/${connection.slug}`,
    created_at: new Date(connection.createdAt).toISOString(),
    updated_at: new Date(connection.updatedAt).toISOString(),
  };
}

function renderProvider(provider: Provider) {
  return {
    id: provider.id,
    name: provider.name,
    base_url: provider.baseUrl,
    hosts: provider.hosts,
    credential: provider.credential,
    token_in: provider.tokenIn,
    docs: provider.docs,
  };
}
