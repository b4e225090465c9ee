import type { MemberId } from "../base/ids.ts";
import type { Role } from "./caller.ts";
import { INVITATION_MS } from "./recognition.ts";
import type { members } from "./tables.ts";

const DAY_MS = 24 * 3_600_000;
const ROTATE_AFTER_MS = 90 * DAY_MS;

/** Times are milliseconds since 1970. */
export interface TeamMember {
  readonly id: MemberId;
  readonly name: string;
  readonly role: Role;
  readonly script: boolean;
  /** `expired`: invited, and did not come in time. */
  readonly status: "invited" | "expired" | "active";
  readonly email: string | null;
  readonly issuer: string | null;
  readonly subject: string | null;
  readonly invitedAt: number | null;
  readonly invitedBy: MemberId | null;
  readonly joinedAt: number | null;
  /** Of a script's credential: when it was made; null for people. */
  readonly credentialCreatedAt: number | null;
  /** Until when it should be rotated: in a day where it came of a bootstrap, since it went through more hands. */
  readonly rotateBy: number | null;
  readonly createdAt: number;
}

/** As of `now`, in milliseconds since 1970. */
export function teamMemberOf(row: typeof members.$inferSelect, now: number): TeamMember {
  const { tenantId: _tenantId, digest: _digest, digestAt, revokedAt: _revokedAt, ...member } = row;
  const waits = row.invitedAt !== null && row.joinedAt === null;
  const isLate = waits && row.invitedAt !== null && now - row.invitedAt >= INVITATION_MS;
  return {
    ...member,
    status: isLate ? "expired" : waits ? "invited" : "active",
    credentialCreatedAt: row.script ? (digestAt ?? row.createdAt) : null,
    rotateBy: row.script ? (digestAt === null ? row.createdAt + DAY_MS : digestAt + ROTATE_AFTER_MS) : null,
  };
}
