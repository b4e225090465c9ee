import { canonicalJson } from "../audit/canonical-json.ts";
import { sha256Hex } from "../base/digest.ts";
import type { Need } from "./need.ts";
import type { PermissionRow } from "./permission-rows.ts";

/** Digests of other things begin otherwise. */
const DOMAIN = "valetkey/approved-permission/1";

type Described = Pick<
  PermissionRow,
  | "tenantId"
  | "agentId"
  | "action"
  | "resource"
  | "template"
  | "asked"
  | "scope"
  | "ttlSeconds"
  | "maxUses"
  | "context"
>;

/** What conditions of policies see, as the API has it. */
export function factsOf(row: Described): Readonly<Record<string, unknown>> {
  return {
    ...{ action: row.action, resource: row.resource, template: row.template },
    ...{ scope: row.scope, requested_scope: row.asked.scope, context: row.context },
    ...{ ttl_seconds: row.ttlSeconds, max_uses: row.maxUses },
  };
}

/** Of all that people approve, by whom it was asked, and all that their answer rests on. */
export function digestOf(row: Described, { basis }: Need): string {
  const { tenantId: tenant, agentId: agent, asked } = row;
  return sha256Hex(canonicalJson({ domain: DOMAIN, tenant, agent, ...factsOf(row), asked, basis }));
}
