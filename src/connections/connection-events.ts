import { changedMembers } from "../audit/changed-members.ts";
import type { AuditEvent } from "../audit/event.ts";
import { newId } from "../base/ids.ts";
import type { MemberCaller } from "../identity/caller.ts";
import type { Connection } from "./connection.ts";

type What = Pick<AuditEvent, "event_type" | "resource_type" | "resource" | "context">;

/** The line in the ledger for what a member did at `now` (milliseconds since 1970). */
function lineOf(caller: MemberCaller, now: number, what: What): AuditEvent {
  return {
    id: newId("event"),
    ...what,
    context: { ...what.context, request_id: caller.request.requestId },
    actor: caller.actor,
    ip_address: caller.request.ip,
    user_agent: caller.request.userAgent,
    outcome: "success",
    timestamp: new Date(now).toISOString(),
  };
}

/** What was done to a connection; `context` as `describeConnection` or `describeChange` gives it. */
export function connectionEvent(
  caller: MemberCaller,
  now: number,
  type: Extract<AuditEvent["event_type"], `connection.${"created" | "updated" | "deleted"}`>,
  slug: string,
  context: AuditEvent["context"],
): AuditEvent {
  return lineOf(caller, now, { event_type: type, resource_type: "connection", resource: slug, context });
}

/** That a secret got the hosts of what it was first connected to. */
export function hostsEvent(
  caller: MemberCaller,
  now: number,
  slug: string,
  path: string,
  hosts: readonly string[],
): AuditEvent {
  const context = { changed: ["allowedHosts"], allowed_hosts: hosts, connection: slug };
  return lineOf(caller, now, {
    event_type: "secret.updated",
    resource_type: "secret",
    resource: path,
    context,
  });
}

/** All that is configured, what leads somewhere first: the ledger keeps about 8 KB. Secrets are paths here. */
export function describeConnection(connection: Connection): Readonly<Record<string, unknown>> {
  return {
    provider: connection.provider,
    base_url: connection.baseUrl,
    secrets: connection.secrets,
    credential: connection.credential,
    references: connection.references,
    websockets: connection.websockets,
    redact: connection.redact,
    default: connection.default,
    limits: connection.limits,
    allow: connection.allow,
  };
}

/** The members that differ, as they were and as they are. */
export function describeChange(before: Connection, after: Connection): Readonly<Record<string, unknown>> {
  return changedMembers(describeConnection(before), describeConnection(after));
}
