import { type Context, Hono } from "hono";
import type { ApiEnv } from "../api/context.ts";
import { pageSchema } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import { readQuery } from "../base/query.ts";
import { check, readJson } from "../base/request.ts";
import { respondChange } from "../base/respond-change.ts";
import { allows } from "../base/scope.ts";
import { namespaceSchema, secretPathSchema } from "../base/secret-path.ts";
import { parseDotenv } from "./dotenv.ts";
import { renderListed, renderPlaintext, renderSecret, renderStored } from "./render.ts";
import {
  importSchema,
  listQuerySchema,
  readQuerySchema,
  rollbackSchema,
  rotateSchema,
  secretPutSchema,
} from "./schemas.ts";

const WRITERS = ["admin", "editor"] as const;
const READERS = ["admin", "editor", "viewer"] as const;
const MAX_IMPORTED = 200;

const notFound = () => new Problem("SECRET_NOT_FOUND", "There is no secret at this path.");

/**
 * `/v1/secrets`. Paths may come with `/` or `%2F`. First it is known who calls, then the input is checked, then scopes
 * and roles, for which a token is charged: nothing before tells whether a secret exists. Outside one's scope it is 403
 * either way, inside it 404.
 */
export function secretRoutes(): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();

  routes.get("/", async (c) => {
    await c.get("auth").caller();
    const { namespace = null, ...page } = readQuery(c.req.raw, listQuerySchema);
    return list(c, namespace, page);
  });

  routes.post("/import", async (c) => {
    await c.get("auth").caller();
    const input = await readJson(c.req.raw, importSchema);
    const caller = await c.get("auth").memberOrToken(WRITERS, {
      resource: "secrets",
      action: "write",
      target: `${input.namespace}/*`,
      eventType: "token.used",
    });
    const entries = parseDotenv(input.content);
    if (entries.length === 0 || entries.length > MAX_IMPORTED) {
      throw new Problem("VALIDATION_ERROR", `\`content\`: must hold 1 to ${MAX_IMPORTED} keys.`);
    }
    for (const { key } of entries) check(secretPathSchema, `${input.namespace}/${key}`);
    const { vault } = c.get("services");
    const { stored, ...change } = await vault.changes.import(caller, input.namespace, entries, {
      secretType: input.secret_type,
      accessTier: input.access_tier,
    });
    const unsendable = stored.flatMap(({ secret, redactable }, index) => {
      return redactable === false ? [entries[index]?.key ?? secret.path] : [];
    });
    const body = {
      namespace: input.namespace,
      imported: entries.map(({ key }) => key),
      imported_count: entries.length,
      ...(unsendable.length > 0 ? { not_for_connections: unsendable } : {}),
    };
    return respondChange(c, body, change, 201);
  });

  routes.put("/:path{.+}", async (c) => {
    await c.get("auth").caller();
    const path = check(secretPathSchema, c.req.param("path"));
    const input = await readJson(c.req.raw, secretPutSchema);
    const caller = await c.get("auth").memberOrToken(WRITERS, {
      resource: "secrets",
      action: "write",
      target: path,
      eventType: "token.used",
    });
    const { created, secret, redactable, ...change } = await c
      .get("services")
      .vault.changes.put(caller, path, {
        value: input.value,
        secretType: input.secret_type,
        accessTier: input.access_tier,
        metadata: input.metadata,
        allowedHosts: input.allowed_hosts,
        reveal: input.reveal,
      });
    return respondChange(c, renderStored(secret, redactable), change, created ? 201 : 200);
  });

  routes.get("/:path{.+}", (c) => {
    const given = c.req.param("path");
    return given.endsWith("/versions")
      ? versions(c, given.slice(0, -"/versions".length))
      : readOrList(c, given);
  });

  routes.post("/:path{.+}", async (c) => {
    await c.get("auth").caller();
    const given = c.req.param("path");
    const path = check(secretPathSchema, given.slice(0, Math.max(0, given.lastIndexOf("/"))));
    switch (given.slice(given.lastIndexOf("/") + 1)) {
      case "rotate":
        return rotate(c, path);
      case "rollback":
        return rollback(c, path);
      default:
        throw new Problem(
          "METHOD_NOT_ALLOWED",
          "Secrets are stored with PUT; POST takes …/rotate and …/rollback.",
          {
            headers: { allow: "GET, PUT, DELETE" },
          },
        );
    }
  });

  routes.delete("/:path{.+}", async (c) => {
    await c.get("auth").caller();
    const path = check(secretPathSchema, c.req.param("path"));
    const caller = await c.get("auth").memberOrToken(WRITERS, {
      resource: "secrets",
      action: "delete",
      target: path,
      eventType: "token.used",
    });
    return respondChange(c, null, await c.get("services").vault.changes.delete(caller, path));
  });

  return routes;
}

/** `/v1/namespaces`: the namespaces a member sees, or in which a token's scopes cover a secret. */
export function namespaceRoutes(): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();

  routes.get("/", async (c) => {
    const caller = await c.get("auth").memberOrToken(READERS, {
      resource: "namespaces",
      action: "read",
      target: "*",
      eventType: "token.used",
    });
    const isVisible = (path: string): boolean =>
      caller.kind === "member" ||
      ["read", "use", "write", "delete"].some((action) =>
        allows(caller.grant.scopes, "secrets", action, path),
      );
    return c.json({ namespaces: await c.get("services").vault.index.namespaces(caller.tenantId, isVisible) });
  });

  return routes;
}

async function rotate(c: Context<ApiEnv>, path: string): Promise<Response> {
  const caller = await c.get("auth").member(...WRITERS);
  const { value, gracePeriodSeconds } = await readJson(c.req.raw, rotateSchema);
  const { vault } = c.get("services");
  const { secret, redactable, ...change } = await vault.changes.rotate(
    caller,
    path,
    value,
    gracePeriodSeconds,
  );
  return respondChange(c, renderStored(secret, redactable), change);
}

async function rollback(c: Context<ApiEnv>, path: string): Promise<Response> {
  const caller = await c.get("auth").member(...WRITERS);
  const { version } = await readJson(c.req.raw, rollbackSchema);
  const { vault } = c.get("services");
  const { secret, redactable, ...change } = await vault.changes.rollback(caller, path, version);
  return respondChange(c, { ...renderStored(secret, redactable), restored_version: version }, change);
}

async function versions(c: Context<ApiEnv>, given: string): Promise<Response> {
  const caller = await c.get("auth").member(...WRITERS);
  const path = check(secretPathSchema, given);
  const page = readQuery(c.req.raw, pageSchema.strict());
  const { items, currentVersion, nextCursor } = await c
    .get("services")
    .vault.index.versions(caller.tenantId, path, page);
  return c.json({
    path,
    current_version: currentVersion,
    versions: items.map(({ version, createdAt, redactable }) => ({
      version,
      created_at: new Date(createdAt).toISOString(),
      redactable,
    })),
    next_cursor: nextCursor,
  });
}

/**
 * A path that is a secret is read, one that is a namespace is listed; a secret wins. Which of the two a token gets
 * depends first on its scopes, so that the answer tells nothing of what lies outside them.
 */
async function readOrList(c: Context<ApiEnv>, given: string): Promise<Response> {
  const auth = c.get("auth");
  const { index } = c.get("services").vault;
  const caller = await auth.caller();
  const namespace = check(namespaceSchema, given);
  const path = secretPathSchema.safeParse(given);
  const mayList = caller.kind !== "token" || allows(caller.grant.scopes, "secrets", "read", `${namespace}/*`);
  const mayRead = caller.kind !== "token" || allows(caller.grant.scopes, "secrets", "read", given);
  if (!path.success) {
    return list(c, namespace, readQuery(c.req.raw, pageSchema.strict()));
  }
  const isSecret = mayRead && (await index.find(caller.tenantId, path.data)) !== null;
  const isList = !isSecret && mayList && (!mayRead || (await index.isNamespace(caller.tenantId, namespace)));
  return isList ? list(c, namespace, readQuery(c.req.raw, pageSchema.strict())) : read(c, path.data);
}

/** People get metadata only, tokens the value where that is allowed. Only a value given out is a `secret.read`. */
async function read(c: Context<ApiEnv>, path: string): Promise<Response> {
  const auth = c.get("auth");
  const { vault } = c.get("services");
  const { version } = readQuery(c.req.raw, readQuerySchema);
  const { tenantId } = await auth.caller();
  const found = await vault.index.find(tenantId, path, version);
  const caller = await auth.memberOrToken(READERS, {
    resource: "secrets",
    action: "read",
    target: path,
    eventType: found?.readable ? "secret.read" : "token.used",
  });
  if (found === null) throw notFound();
  const { secret, sealed } = found;
  if (caller.kind === "member") return c.json(renderSecret(secret, sealed));
  if (!found.readable) {
    throw new Problem("REVEAL_DENIED", "Agents may not read this secret's value.", {
      why: "Call the provider through a connection: the gateway attaches the value. Or ask an admin to allow reading.",
    });
  }
  const value = await vault.reveal(tenantId, sealed);
  return c.json(renderPlaintext(secret, sealed, value), 200, { "cache-control": "no-store" });
}

async function list(
  c: Context<ApiEnv>,
  namespace: string | null,
  page: { readonly limit: number; readonly cursor?: string | undefined },
): Promise<Response> {
  const caller = await c.get("auth").memberOrToken(READERS, {
    resource: "secrets",
    action: "read",
    target: namespace === null ? "*" : `${namespace}/*`,
    eventType: "token.used",
  });
  const { items, nextCursor } = await c
    .get("services")
    .vault.index.list(caller.tenantId, namespace, { limit: page.limit, cursor: page.cursor });
  return c.json({ namespace, items: items.map(renderListed), next_cursor: nextCursor });
}
