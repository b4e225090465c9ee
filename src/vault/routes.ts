import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { Problem } from "../base/problem.ts";
import { respondChange } from "../base/respond-change.ts";
import { allows } from "../base/scope.ts";
import { namespaceSchema, secretPathSchema } from "../base/secret-path.ts";
import { importEndpoint } from "./import-routes.ts";
import { secretListEndpoints } from "./list-routes.ts";
import { removalEndpoints } from "./removal-routes.ts";
import { renderListed, renderPlaintext, renderSecret, renderStored } from "./render.ts";
import { secretListSchema, secretSchema, secretValueSchema, storedSecretSchema } from "./responses.ts";
import { secretPatchSchema, secretPutSchema, secretQuerySchema } from "./schemas.ts";
import type { SecretWrite } from "./settle.ts";
import { versionEndpoints } from "./version-routes.ts";

const endpoint = declareFor<Api>();
const tag = "Secrets";
const WRITERS = ["admin", "editor"] as const;
const READERS = ["admin", "editor", "viewer"] as const;
const secretParams = z.strictObject({ path: secretPathSchema });

/**
 * `/v1/secrets`. Paths may come with `/` or `%2F`. A token's scopes are asked before anything tells whether a secret
 * exists: outside them it is 403 either way, inside them 404.
 */
export const secretEndpoints = [
  ...secretListEndpoints,
  importEndpoint,

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
    errors: ["SECRET_NOT_FOUND", "REVEAL_DENIED", "SECRET_EXPIRED"],
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
        const { items, nextCursor } = await vault.index.list(caller.tenantId, path, { limit, cursor });
        const now = vault.now();
        const listed = items.map((secret) => renderListed(secret, now));
        return c.json({ namespace: path, items: listed, next_cursor: nextCursor });
      }
      if (page.limit !== undefined || page.cursor !== undefined) throw unfit("limit", "this is no namespace");
      const isEarlier = current !== null && version !== undefined;
      const found = isEarlier ? await vault.index.find(caller.tenantId, path, version) : current;
      const isOpen = found !== null && found.readable && !vault.isExpired(found.sealed);
      // Only a value given out is a `secret.read`.
      await charge(path, isOpen ? "secret.read" : "token.used");
      if (found === null) throw new Problem("SECRET_NOT_FOUND", "There is no secret at this path.");
      const { secret, sealed } = found;
      if (caller.kind === "member") return c.json(renderSecret(secret, sealed, vault.now()));
      if (!found.readable) {
        throw new Problem("REVEAL_DENIED", "Agents may not read this secret's value.", {
          why: "Call the provider through a connection: the gateway attaches the value. Or ask an admin to allow reading.",
        });
      }
      if (!isOpen) {
        throw new Problem("SECRET_EXPIRED", "The secret has expired.", {
          why: "Someone who may write it must store a new value, or give it another `expires_at`.",
        });
      }
      const value = await vault.reveal(caller.tenantId, sealed);
      return c.json(renderPlaintext(secret, sealed, value, vault.now()), 200, {
        "cache-control": "no-store",
      });
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
      const { vault } = c.get("services");
      const write = { ...writeOf(body), value: body.value };
      const { created, secret, redactable, ...change } = await vault.changes.put(caller, params.path, write);
      const stored = renderStored(secret, redactable, vault.now());
      return respondChange(c, stored, change, created ? 201 : 200);
    },
  }),

  endpoint({
    method: "PATCH",
    path: "/v1/secrets/{+path}",
    operationId: "updateSecret",
    tag,
    summary: "Change what is known about a secret, without a new version",
    access: { roles: WRITERS, token: { resource: "secrets", action: "write" } },
    params: secretParams,
    body: secretPatchSchema,
    target: ({ params }) => params.path,
    responses: { 200: storedSecretSchema },
    errors: ["SECRET_NOT_FOUND", "APPROVAL_REQUIRED", "CONFLICT"],
    change: true,
    handler: async ({ caller, params, body, c }) => {
      const { vault } = c.get("services");
      const {
        secret,
        created: _created,
        redactable,
        ...change
      } = await vault.changes.patch(caller, params.path, writeOf(body));
      return respondChange(c, renderStored(secret, redactable, vault.now()), change);
    },
  }),

  ...removalEndpoints,
  ...versionEndpoints,
];

function writeOf(body: z.output<typeof secretPatchSchema>): Omit<SecretWrite, "value"> {
  return {
    secretType: body.secret_type,
    accessTier: body.access_tier,
    metadata: body.metadata,
    tags: body.tags,
    allowedHosts: body.allowed_hosts,
    reveal: body.reveal,
    expiresAt: body.expires_at,
  };
}

function unfit(parameter: string, why: string): Problem {
  return new Problem("VALIDATION_ERROR", `\`${parameter}\`: has no meaning here, ${why}.`);
}
