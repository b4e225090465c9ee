import { now, type Approval } from "./api.ts";
import { countdown } from "./times.ts";

/** What kind of thing is asked for. */
export const KINDS: Readonly<Record<Approval["kind"], string>> = {
  call: "One call",
  token: "A token",
  permission: "A permission",
};

const STATUSES: Readonly<Record<Approval["status"], string>> = {
  pending: "Waiting for approval",
  approved: "Approved",
  consumed: "Approved and used",
  denied: "Denied",
  cancelled: "Cancelled",
  expired: "Expired",
};

/** How it stands, in words. */
export function statusOf(approval: Approval): string {
  return isDelayed(approval) ? "Approved, not yet in force" : STATUSES[approval.status];
}

/** Approved, and its delay still runs: time to object. */
export function isDelayed({ status, not_before }: Approval): boolean {
  return status === "approved" && not_before !== null && Date.parse(not_before) > now();
}

/** What is asked for, in a line: as whoever asks wrote it, so it is shown by `said`. */
export function titleOf(approval: Approval): string {
  const { call, requested, permission } = approval;
  if (call !== null) return `${call.method} ${call.host}${call.path}`;
  if (requested !== null) return `A token for ${requested.scopes.join(", ")}`;
  if (permission === null) return approval.id;
  return permission.resource === null ? permission.action : `${permission.action} of ${permission.resource}`;
}

/** How it stands, in a line. */
export function gistOf(approval: Approval): (Node | string)[] {
  const { status, approvals, approvals_needed, expires_at, not_before } = approval;
  const given = `${approvals} of ${countOf(approvals_needed, "approval")}`;
  if (status === "pending") return [`${given}, `, countdown(expires_at), " left to answer"];
  if (isDelayed(approval) && not_before !== null) return [`${given}, in force in `, countdown(not_before)];
  return status === "approved" ? [`${given}, can be used for `, countdown(expires_at)] : [given];
}

export function countOf(one: number, what: string): string {
  return `${one} ${what}${one === 1 ? "" : "s"}`;
}
