import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { respondChange } from "../base/respond-change.ts";
import { allows } from "../base/scope.ts";
import { namespaceSchema } from "../base/secret-path.ts";
import type { NamespaceRules, OwnRules } from "./namespace-rules.ts";
import type { Namespace } from "./namespaces.ts";
import { namespaceDetailSchema, namespaceListSchema } from "./responses.ts";
import { namespacePutSchema } from "./schemas.ts";

const endpoint = declareFor<Api>();
const tag = "Namespaces";
const READERS = ["admin", "editor", "viewer"] as const;
const namespaceParams = z.strictObject({ namespace: namespaceSchema });

/** `/v1/namespaces`: what is visible, and what namespaces say of the secrets in them. */
export const namespaceEndpoints = [
  endpoint({
    method: "GET",
    path: "/v1/namespaces",
    operationId: "listNamespaces",
    tag,
    summary: "The namespaces that are visible, and how many secrets each holds",
    description: "A token sees those in which one of its scopes covers a secret. People see settings, too.",
    access: { roles: READERS, token: { resource: "namespaces", action: "read" } },
    responses: { 200: namespaceListSchema },
    handler: async ({ caller, c }) => {
      const { vault } = c.get("services");
      const isVisible = (path: string): boolean =>
        caller.kind === "member" ||
        ["read", "use", "write", "delete"].some((action) =>
          allows(caller.grant.scopes, "secrets", action, path),
        );
      const holding = await vault.index.namespaces(caller.tenantId, isVisible);
      if (caller.kind === "token") return c.json({ namespaces: holding });
      const settings = await vault.namespaces.list(caller.tenantId);
      const all = new Map<string, object>(holding.map((one) => [one.namespace, one]));
      for (const row of settings) {
        const { namespace } = row;
        all.set(namespace, { secrets: 0, ...all.get(namespace), namespace, settings: renderRules(row) });
      }
      const byName = [...all].toSorted(([a], [b]) => (a < b ? -1 : 1));
      return c.json({ namespaces: byName.map(([, one]) => one) });
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/namespaces/{+namespace}",
    operationId: "getNamespace",
    tag,
    summary: "What a namespace says of the secrets in it, and what holds there",
    access: { roles: READERS },
    params: namespaceParams,
    responses: { 200: namespaceDetailSchema },
    handler: async ({ caller, params, c }) =>
      c.json(render(await c.get("services").vault.namespaces.get(caller.tenantId, params.namespace))),
  }),

  endpoint({
    method: "PUT",
    path: "/v1/namespaces/{+namespace}",
    operationId: "putNamespace",
    tag,
    summary: "Set what holds for the secrets in a namespace and below it",
    description: "Replaces its settings: what is left out is what holds around it.",
    access: { roles: ["admin"] },
    stepUp: true,
    params: namespaceParams,
    body: namespacePutSchema,
    responses: { 200: namespaceDetailSchema },
    errors: ["APPROVAL_REQUIRED"],
    change: true,
    handler: async ({ caller, params, body, c }) => {
      const own = {
        ...{ tierDefault: body.tier_default, reveal: body.reveal, kek: body.kek },
        approvalDelaySeconds: body.approval_delay_seconds,
      };
      const { vault } = c.get("services");
      const { namespace, ...change } = await vault.namespaces.put(caller, params.namespace, own);
      return respondChange(c, render(namespace), change);
    },
  }),

  endpoint({
    method: "DELETE",
    path: "/v1/namespaces/{+namespace}",
    operationId: "resetNamespace",
    tag,
    summary: "Let what holds around a namespace hold in it again",
    access: { roles: ["admin"] },
    stepUp: true,
    params: namespaceParams,
    responses: { 204: null },
    errors: ["NOT_FOUND", "APPROVAL_REQUIRED"],
    change: true,
    handler: async ({ caller, params, c }) =>
      respondChange(c, null, await c.get("services").vault.namespaces.remove(caller, params.namespace)),
  }),
];

function renderRules({ tierDefault, reveal, kek, approvalDelaySeconds }: OwnRules | NamespaceRules) {
  return { tier_default: tierDefault, reveal, kek, approval_delay_seconds: approvalDelaySeconds };
}

function render({ namespace, own, effective }: Namespace) {
  return { namespace, settings: renderRules(own), effective: renderRules(effective) };
}
