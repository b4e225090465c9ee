import { z } from "zod";
import type { AskedCase } from "../approvals/desk.ts";
import { visibleText } from "../audit/clean.ts";
import type { AgentCaller } from "../identity/caller.ts";
import type { GrantedPermission } from "../tokens/permission.ts";
import type { PermissionPayload } from "../tokens/permission-schemas.ts";
import type { CallContext, CallRule } from "../tokens/schemas.ts";
import type { Action } from "./action.ts";
import type { Need } from "./need.ts";
import { globOf } from "./path-template.ts";
import type { PermissionRow } from "./permission-rows.ts";

/** The scopes of a permission's token: the calls it covers, and no secrets. */
export function scopesOf({ calls }: Pick<GrantedPermission | Action, "calls">): readonly string[] {
  return calls === null ? [] : [`connections:call:${calls.connection}`];
}

/** The same calls as bounds that every token knows. */
export function tokenRulesOf({ calls }: GrantedPermission): readonly CallRule[] | null {
  if (calls === null) return null;
  const { connection, methods, paths } = calls;
  return [{ connection, methods: [...methods], paths: paths.map(globOf) }];
}

const LIMITS = { reason: 500, user: 200, workflow: 200, tool: 200 } as const;

/** What a token's context keeps of what was said of a permission. */
export function tokenContextOf(context: Readonly<Record<string, unknown>>): CallContext {
  const kept: { -readonly [K in keyof CallContext]: CallContext[K] } = {};
  for (const name of ["reason", "user", "workflow", "tool"] as const) {
    const value = context[name] ?? (name === "user" ? context["user_id"] : undefined);
    if (typeof value === "string") kept[name] = value.slice(0, LIMITS[name]);
  }
  return kept;
}

/** For whom it is, as the agent says: they do not approve it. */
function usersOf(context: Readonly<Record<string, unknown>>): readonly string[] {
  const named = [context["user"], context["user_id"]].filter((value) => typeof value === "string");
  return [...new Set(named)].map((name) => name.slice(0, LIMITS.user));
}

const MAX_TEXT = 8_192;

/** The same JSON with nothing in its texts that hides or reorders them: the agent wrote it, people decide on it. */
function visible(value: unknown): unknown {
  if (typeof value === "string") return visibleText(value, MAX_TEXT);
  if (Array.isArray(value)) return value.map(visible);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [visibleText(name, MAX_TEXT), visible(member)]),
  );
}

export function payloadOf(row: PermissionRow, action: Action): PermissionPayload {
  return {
    ...{ action: row.action, description: action.description, resource: row.resource },
    ...{ scope: row.scope, requested_scope: row.asked.scope, narrowed_fields: row.narrowedFields },
    ...{ template: row.template, ttl_seconds: row.ttlSeconds, max_uses: row.maxUses },
    dpop_jkt: row.asked.jkt ?? null,
    ...{ calls: row.granted.calls, constraints: row.granted.constraints },
    context: z.record(z.string(), z.unknown()).parse(visible(row.context)),
  };
}

/** The request as people are asked about it. */
export function caseOf(caller: AgentCaller, row: PermissionRow, action: Action, need: Need): AskedCase {
  const { ip, userAgent, requestId } = caller.request;
  return {
    kind: "permission",
    ...{ tenantId: row.tenantId, agentId: row.agentId, tokenId: null, digest: row.digest },
    connection: action.calls?.connection ?? null,
    payload: JSON.stringify(payloadOf(row, action)),
    ...{ approvalsNeeded: need.approvals, delaySeconds: need.delaySeconds, tier: need.tier },
    ...{ policies: need.policies, users: usersOf(row.context), sealed: null },
    by: { actor: caller.actor, ip, userAgent, requestId },
  };
}
