import type { Narrowing } from "../approvals/approvals.ts";
import type { MemberCaller } from "../identity/caller.ts";
import type { TenantChanges } from "../identity/changes.ts";
import type { ControlPlaneUses } from "../tokens/control-plane-uses.ts";
import { Actions } from "./actions.ts";
import { checkNarrowing } from "./narrow.ts";
import { Needs, type NeedsParts } from "./needs.ts";
import { type PermissionParts, Permissions } from "./permissions.ts";
import { PermissionStandings, type StandingParts } from "./standing.ts";
import { PermissionUses, type UsesParts } from "./uses.ts";

/** What the doors call of this room. */
export interface PermissionServices {
  readonly actions: Actions;
  readonly permissions: Permissions;
  readonly permissionStandings: PermissionStandings;
  readonly permissionUses: PermissionUses;
}

type Parts = Omit<PermissionParts, "needs"> &
  NeedsParts &
  StandingParts &
  Pick<UsesParts, "admission" | "leases" | "proofs"> & {
    readonly tokenUses: Pick<ControlPlaneUses, "identify">;
    readonly changes: TenantChanges;
    readonly requireFresh: (caller: MemberCaller) => void;
    readonly requireVetted: (caller: MemberCaller) => Promise<void>;
  };

/** How approvers grant less than what was asked for; `approvals/approvals.ts` asks it. */
export const permissionNarrowing: Narrowing = {
  narrow: ({ payload }, standing, wanted) => checkNarrowing(payload, standing, wanted),
};

export function createPermissions(parts: Parts): PermissionServices {
  const { db, changes, requireFresh, requireVetted, clock, policies, connections, reach, admission, leases } =
    parts;
  const { waitUntil, tokenUses, proofs } = parts;
  return {
    actions: new Actions({ db, changes, requireFresh, requireVetted, clock }),
    permissions: new Permissions({ ...parts, needs: new Needs({ policies, connections, reach }) }),
    permissionStandings: new PermissionStandings(parts),
    permissionUses: new PermissionUses({
      ...{ admission, leases, proofs, waitUntil },
      identify: (token) => tokenUses.identify(token),
    }),
  };
}
