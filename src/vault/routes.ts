import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { pageSchema } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import { check } from "../base/request.ts";
import { respondChange } from "../base/respond-change.ts";
import { allows } from "../base/scope.ts";
import { namespaceSchema, secretPathSchema } from "../base/secret-path.ts";
import { parseDotenv } from "./dotenv.ts";
import { renderListed, renderPlaintext, renderSecret, renderStored } from "./render.ts";
import {
  importedSchema,
  namespaceListSchema,
  rolledBackSchema,
  secretListSchema,
  secretSchema,
  secretValueSchema,
  storedSecretSchema,
  versionListSchema,
} from "./responses.ts";
import {
  importSchema,
  listQuerySchema,
  rollbackSchema,
  rotateSchema,
  secretPutSchema,
  secretQuerySchema,
} from "./schemas.ts";
import type { Listed } from "./secret-index.ts";
import type { SecretRow } from "./sealed-secret.ts";

const endpoint = declareFor<Api>();
const tag = "Secrets";
const WRITERS = ["admin", "editor"] as const;
const READERS = ["admin", "editor", "viewer"] as const;
const MAX_IMPORTED = 200;
const secretParams = z.strictObject({ path: secretPathSchema });

/**
 * `/v1/secrets`. Paths may come with `/` or `%2F`. A token's scopes are asked before anything tells whether a secret
 * exists: outside them it is 403 either way, inside them 404.
 */
export const secretEndpoints = [
  endpoint({
    method: "GET",
    path: "/v1/secrets",
    operationId: "listSecrets",
    tag,
    summary: "Secrets of a namespace, or of all: never their values",
    access: { roles: READERS, token: { resource: "secrets", action: "read" } },
    query: listQuerySchema,
    target: ({ query: { namespace } }) => (namespace === undefined ? "*" : `${namespace}/*`),
    responses: { 200: secretListSchema },
    handler: async ({ caller, query: { namespace = null, ...page }, c }) => {
      const listed = await c.get("services").vault.index.list(caller.tenantId, namespace, page);
      return c.json(renderList(namespace, listed));
    },
  }),

  endpoint({
    method: "POST",
    path: "/v1/secrets/import",
    operationId: "importSecrets",
    tag,
    summary: "Store the text of a .env file, all or nothing",
    access: { roles: WRITERS, token: { resource: "secrets", action: "write" } },
    body: importSchema,
    target: ({ body }) => `${body.namespace}/*`,
    responses: { 201: importedSchema },
    errors: ["CONFLICT", "APPROVAL_REQUIRED"],
    change: true,
    handler: async ({ caller, body: input, c }) => {
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
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/secrets/{+path}",
    operationId: "readSecret",
    tag,
    summary: "A secret, or the list of a namespace",
    description:
      "People get what is known about a secret, tokens its value where reading is allowed. A path that is a namespace is listed (`limit`, `cursor`); a secret of the same name wins.",
    access: { roles: READERS, token: { resource: "secrets", action: "read" } },
    params: z.strictObject({ path: namespaceSchema }),
    query: secretQuerySchema,
    responses: { 200: z.union([secretListSchema, secretValueSchema, secretSchema]) },
    errors: ["SECRET_NOT_FOUND", "REVEAL_DENIED"],
    handler: async ({ caller, params: { path }, query: { version, ...page }, charge, c }) => {
      const { vault } = c.get("services");
      // What is looked up, and so what the answer tells, depends on the scopes first.
      const may = (target: string): boolean =>
        caller.kind === "member" || allows(caller.grant.scopes, "secrets", "read", target);
      const isPath = secretPathSchema.safeParse(path).success;
      const mayRead = isPath && may(path);
      const current = mayRead ? await vault.index.find(caller.tenantId, path) : null;
      const isNamespace = async (): Promise<boolean> =>
        !mayRead || vault.index.isNamespace(caller.tenantId, path);
      if (!isPath || (current === null && may(`${path}/*`) && (await isNamespace()))) {
        if (version !== undefined) throw unfit("version", "this is a namespace");
        await charge(`${path}/*`);
        const { limit = 50, cursor } = page;
        return c.json(renderList(path, await vault.index.list(caller.tenantId, path, { limit, cursor })));
      }
      if (page.limit !== undefined || page.cursor !== undefined) throw unfit("limit", "this is no namespace");
      const isEarlier = current !== null && version !== undefined;
      const found = isEarlier ? await vault.index.find(caller.tenantId, path, version) : current;
      // Only a value given out is a `secret.read`.
      await charge(path, found?.readable ? "secret.read" : "token.used");
      if (found === null) throw new Problem("SECRET_NOT_FOUND", "There is no secret at this path.");
      const { secret, sealed } = found;
      if (caller.kind === "member") return c.json(renderSecret(secret, sealed));
      if (!found.readable) {
        throw new Problem("REVEAL_DENIED", "Agents may not read this secret's value.", {
          why: "Call the provider through a connection: the gateway attaches the value. Or ask an admin to allow reading.",
        });
      }
      const value = await vault.reveal(caller.tenantId, sealed);
      return c.json(renderPlaintext(secret, sealed, value), 200, { "cache-control": "no-store" });
    },
  }),

  endpoint({
    method: "PUT",
    path: "/v1/secrets/{+path}",
    operationId: "putSecret",
    tag,
    summary: "Store a secret, or change what is known about it",
    access: { roles: WRITERS, token: { resource: "secrets", action: "write" } },
    params: secretParams,
    body: secretPutSchema,
    target: ({ params }) => params.path,
    responses: { 200: storedSecretSchema, 201: storedSecretSchema },
    // A token may not set `allowed_hosts` and only admins may set `reveal`: ROLE_DENIED for those, too.
    errors: ["APPROVAL_REQUIRED", "CONFLICT"],
    change: true,
    handler: async ({ caller, params, body, c }) => {
      const { created, secret, redactable, ...change } = await c
        .get("services")
        .vault.changes.put(caller, params.path, {
          value: body.value,
          secretType: body.secret_type,
          accessTier: body.access_tier,
          metadata: body.metadata,
          allowedHosts: body.allowed_hosts,
          reveal: body.reveal,
        });
      return respondChange(c, renderStored(secret, redactable), change, created ? 201 : 200);
    },
  }),

  endpoint({
    method: "DELETE",
    path: "/v1/secrets/{+path}",
    operationId: "deleteSecret",
    tag,
    summary: "Delete a secret with all its versions",
    access: { roles: WRITERS, token: { resource: "secrets", action: "delete" } },
    params: secretParams,
    target: ({ params }) => params.path,
    responses: { 204: null },
    errors: ["SECRET_NOT_FOUND", "CONFLICT"],
    change: true,
    handler: async ({ caller, params, c }) =>
      respondChange(c, null, await c.get("services").vault.changes.delete(caller, params.path)),
  }),

  endpoint({
    method: "GET",
    path: "/v1/secrets/{+path}/versions",
    operationId: "listSecretVersions",
    tag,
    summary: "A secret's versions, newest first",
    access: { roles: WRITERS },
    params: secretParams,
    query: pageSchema.strict(),
    responses: { 200: versionListSchema },
    errors: ["SECRET_NOT_FOUND"],
    handler: async ({ caller, params: { path }, query, c }) => {
      const { items, currentVersion, nextCursor } = await c
        .get("services")
        .vault.index.versions(caller.tenantId, path, query);
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
    },
  }),

  endpoint({
    method: "POST",
    path: "/v1/secrets/{+path}/rotate",
    operationId: "rotateSecret",
    tag,
    summary: "Give a secret a new value; tokens that could read the old one are revoked",
    access: { roles: WRITERS },
    params: secretParams,
    body: rotateSchema,
    responses: { 200: storedSecretSchema },
    errors: ["SECRET_NOT_FOUND", "CONFLICT"],
    change: true,
    handler: async ({ caller, params, body: { value, gracePeriodSeconds }, c }) => {
      const { vault } = c.get("services");
      const { secret, redactable, ...change } = await vault.changes.rotate(
        caller,
        params.path,
        value,
        gracePeriodSeconds,
      );
      return respondChange(c, renderStored(secret, redactable), change);
    },
  }),

  endpoint({
    method: "POST",
    path: "/v1/secrets/{+path}/rollback",
    operationId: "rollBackSecret",
    tag,
    summary: "Return to an earlier value, as a new version",
    access: { roles: WRITERS },
    params: secretParams,
    body: rollbackSchema,
    responses: { 200: rolledBackSchema },
    errors: ["SECRET_NOT_FOUND", "CONFLICT"],
    change: true,
    handler: async ({ caller, params, body: { version }, c }) => {
      const { vault } = c.get("services");
      const { secret, redactable, ...change } = await vault.changes.rollback(caller, params.path, version);
      return respondChange(c, { ...renderStored(secret, redactable), restored_version: version }, change);
    },
  }),
];

/** `/v1/namespaces`: the namespaces a member sees, or in which a token's scopes cover a secret. */
export const namespaceEndpoints = [
  endpoint({
    method: "GET",
    path: "/v1/namespaces",
    operationId: "listNamespaces",
    tag,
    summary: "The namespaces that are visible, and how many secrets each holds",
    access: { roles: READERS, token: { resource: "namespaces", action: "read" } },
    responses: { 200: namespaceListSchema },
    handler: async ({ caller, c }) => {
      const isVisible = (path: string): boolean =>
        caller.kind === "member" ||
        ["read", "use", "write", "delete"].some((action) =>
          allows(caller.grant.scopes, "secrets", action, path),
        );
      const namespaces = await c.get("services").vault.index.namespaces(caller.tenantId, isVisible);
      return c.json({ namespaces });
    },
  }),
];

function renderList(namespace: string | null, { items, nextCursor }: Listed<SecretRow>) {
  return { namespace, items: items.map(renderListed), next_cursor: nextCursor };
}

function unfit(parameter: string, why: string): Problem {
  return new Problem("VALIDATION_ERROR", `\`${parameter}\`: has no meaning here, ${why}.`);
}
