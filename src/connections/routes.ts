import { Hono } from "hono";
import type { ApiEnv } from "../api/context.ts";
import { pageSchema } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import { readQuery } from "../base/query.ts";
import { check, readJson } from "../base/request.ts";
import { respondChange } from "../base/respond-change.ts";
import type { Connection } from "./connection.ts";
import type { Provider } from "./provider.ts";
import { providers } from "./providers.ts";
import { connectionCreateSchema, connectionPatchSchema, slugSchema } from "./schemas.ts";

const WRITERS = ["admin", "editor"] as const;
const READERS = ["admin", "editor", "viewer"] as const;
const listSchema = pageSchema.strict();

/** `/v1/connections`: admins and editors manage them, viewers see them. */
export function connectionRoutes(): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();

  routes.post("/", async (c) => {
    const caller = await c.get("auth").member(...WRITERS);
    const input = await readJson(c.req.raw, connectionCreateSchema);
    const { connection, change } = await c.get("services").connections.create(caller, input);
    return respondChange(c, render(connection), change, 201);
  });

  routes.get("/", async (c) => {
    const caller = await c.get("auth").member(...READERS);
    const page = readQuery(c.req.raw, listSchema);
    const { connections, nextCursor } = await c.get("services").connections.list(caller.tenantId, page);
    return c.json({ connections: connections.map(render), next_cursor: nextCursor });
  });

  routes.get("/:slug", async (c) => {
    const caller = await c.get("auth").member(...READERS);
    const slug = check(slugSchema, c.req.param("slug"));
    return c.json(render(await c.get("services").connections.get(caller.tenantId, slug)));
  });

  routes.patch("/:slug", async (c) => {
    const caller = await c.get("auth").member(...WRITERS);
    const slug = check(slugSchema, c.req.param("slug"));
    const patch = await readJson(c.req.raw, connectionPatchSchema);
    const { connection, change } = await c.get("services").connections.update(caller, slug, patch);
    return respondChange(c, render(connection), change);
  });

  routes.delete("/:slug", async (c) => {
    const caller = await c.get("auth").member(...WRITERS);
    const slug = check(slugSchema, c.req.param("slug"));
    return respondChange(c, null, await c.get("services").connections.remove(caller, slug));
  });

  return routes;
}

/** `/v1/providers`: the catalogue, for whoever has a credential of any kind. */
export function providerRoutes(): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();

  routes.get("/", async (c) => {
    await c.get("auth").caller();
    return c.json({ providers: [...providers.values()].map(renderProvider) });
  });

  routes.get("/:id", async (c) => {
    await c.get("auth").caller();
    const provider = providers.get(c.req.param("id"));
    if (provider === undefined) {
      throw new Problem("NOT_FOUND", "There is no such provider in the catalogue.", {
        why: "Connect it as one of your own, with `base_url` and `credential`.",
      });
    }
    return c.json(renderProvider(provider));
  });

  return routes;
}

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
