import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { pageSchema } from "../base/page.ts";
import { respondChange } from "../base/respond-change.ts";
import { secretPathSchema } from "../base/secret-path.ts";
import { renderStored } from "./render.ts";
import { rolledBackSchema, storedSecretSchema, versionListSchema } from "./responses.ts";
import { rollbackSchema, rotateSchema } from "./schemas.ts";

const endpoint = declareFor<Api>();
const tag = "Secrets";
const WRITERS = ["admin", "editor"] as const;
const secretParams = z.strictObject({ path: secretPathSchema });

/** A secret's versions: for people. */
export const versionEndpoints = [
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
        versions: items.map(({ version, createdAt, redactable, keptUntil }) => ({
          version,
          created_at: new Date(createdAt).toISOString(),
          redactable,
          kept_until: keptUntil === null ? null : new Date(keptUntil).toISOString(),
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
    handler: async ({ caller, params, body: { value, gracePeriodSeconds, expiresAt }, c }) => {
      const { vault } = c.get("services");
      const { secret, redactable, ...change } = await vault.changes.rotate(
        caller,
        params.path,
        value,
        gracePeriodSeconds,
        expiresAt,
      );
      return respondChange(c, renderStored(secret, redactable, vault.now()), change);
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
      const stored = renderStored(secret, redactable, vault.now());
      return respondChange(c, { ...stored, restored_version: version }, change);
    },
  }),
];
