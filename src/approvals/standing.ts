import type { Case } from "./case.ts";
import type { By, Standing } from "./desk.ts";

/** How a case stands for a use of it; null: the same may be asked for anew. `at` is the desk's clock. */
export function standingOf(held: Case, useId: string, at: number): Standing | null {
  const { id: approvalId, approvalsNeeded, expiresAt, notBefore } = held;
  const now = Math.max(at, held.touchedAt);
  switch (held.status) {
    case "pending":
      return { kind: "pending", approvalId, approvalsNeeded, expiresAt, notBefore: null };
    case "approved":
      return notBefore !== null && now >= notBefore
        ? { kind: "ready", approvalId, voters: held.votes.map(({ memberId }) => memberId) }
        : { kind: "pending", approvalId, approvalsNeeded, expiresAt, notBefore };
    case "consumed":
      return held.consumedBy === useId ? { kind: "granted", approvalId, granted: grantedOf(held) } : null;
    case "denied":
      return now < expiresAt
        ? { kind: "denied", approvalId, reason: held.ending?.reason ?? null, expiresAt }
        : null;
    case "cancelled":
    case "expired":
      return null;
  }
}

/** Whether a case has come to where somebody waits for it: people have answered, or it can be used, too. */
export function isDecided(held: Case, until: "answered" | "usable", now: number): boolean {
  if (held.status !== "approved") return held.status !== "pending";
  return until === "answered" || (held.notBefore !== null && now >= held.notBefore);
}

/** JSON of what is granted instead of what was asked for; null: as asked. */
export function grantedOf({ votes }: Pick<Case, "votes">): string | null {
  return votes.at(-1)?.granted ?? null;
}

/** The agent that asked, from where it did. */
export function askedBy({ agentId, ip, requestId }: Case): By {
  return { actor: `agent:${agentId}`, ip, userAgent: null, requestId };
}
