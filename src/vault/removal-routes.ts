import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { respondChange } from "../base/respond-change.ts";
import { secretPathSchema } from "../base/secret-path.ts";
import { renderListed } from "./render.ts";
import { purgedSchema, restoredSchema } from "./responses.ts";
import { removedSchema } from "./schemas.ts";

const endpoint = declareFor<Api>();
const tag = "Secrets";
const WRITERS = ["admin", "editor"] as const;
const secretParams = z.strictObject({ path: secretPathSchema });

/** Deleting, bringing back, and deleting for good. Keys named `restore` and `purge` stay possible: these are POST only. */
export const removalEndpoints = [
  endpoint({
    method: "DELETE",
    path: "/v1/secrets/{+path}",
    operationId: "deleteSecret",
    tag,
    summary: "Delete a secret with all its versions",
    description:
      "Out of use at once. It can be restored until the tenant's `recovery_days` are over; then its versions are gone for good.",
    access: { roles: WRITERS, token: { resource: "secrets", action: "delete" } },
    params: secretParams,
    target: ({ params }) => params.path,
    responses: { 204: null },
    errors: ["SECRET_NOT_FOUND", "CONFLICT"],
    change: true,
    handler: async ({ caller, params, c }) =>
      respondChange(c, null, await c.get("services").vault.removal.delete(caller, params.path)),
  }),

  endpoint({
    method: "POST",
    path: "/v1/secrets/{+path}/restore",
    operationId: "restoreSecret",
    tag,
    summary: "Bring back a deleted secret, the last one of its path unless an id says which",
    access: { roles: WRITERS },
    params: secretParams,
    body: removedSchema,
    responses: { 200: restoredSchema },
    errors: ["SECRET_NOT_FOUND", "CONFLICT"],
    change: true,
    handler: async ({ caller, params, body, c }) => {
      const { vault } = c.get("services");
      const { secret, ...change } = await vault.removal.restore(caller, params.path, body.id);
      return respondChange(c, renderListed(secret, vault.now()), change);
    },
  }),

  endpoint({
    method: "POST",
    path: "/v1/secrets/{+path}/purge",
    operationId: "purgeSecret",
    tag,
    summary: "Take a path's secret and its deleted ones out of the database for good, or the one an id names",
    access: { roles: ["admin"] },
    params: secretParams,
    body: removedSchema,
    responses: { 200: purgedSchema },
    errors: ["SECRET_NOT_FOUND", "CONFLICT"],
    change: true,
    stepUp: true,
    handler: async ({ caller, params, body, c }) => {
      const { vault } = c.get("services");
      const { purged, ...change } = await vault.removal.purge(caller, params.path, body.id);
      return respondChange(c, { path: params.path, purged }, change);
    },
  }),
];
