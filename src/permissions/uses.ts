import { proofRefused } from "../base/bearer.ts";
import { newId, type PermissionId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { RequestInfo } from "../base/request.ts";
import type { AgentCaller } from "../identity/caller.ts";
import type { Presented, SpendableProof } from "../identity/dpop/presented.ts";
import type { Proofs } from "../identity/dpop/proofs.ts";
import type { Leases } from "../identity/leases.ts";
import type { RequestView } from "../policies/request-view.ts";
import type { Admission } from "../tokens/admission.ts";
import type { EventDraft } from "../tokens/charge.ts";
import { denialOf, frozen } from "../tokens/denial.ts";
import type { Grant } from "../tokens/grant.ts";
import type { GrantedPermission } from "../tokens/permission.ts";
import { isBelowWatermark } from "../tokens/watermarks.ts";
import { enforceConstraints } from "./enforce.ts";

/** Where a use comes from: whether its address can be held against an allowlist, and what proves its token's key. */
type From = RequestInfo & Pick<Presented, "method" | "url" | "proof"> & { readonly sharedAddress: boolean };

export interface UsesParts {
  readonly admission: Pick<Admission, "charge" | "deny">;
  /** Throws UNAUTHORIZED for whatever is not live. */
  readonly identify: (token: string) => Promise<Grant>;
  readonly leases: Pick<Leases, "current" | "ask">;
  readonly proofs: Pick<Proofs, "check">;
  readonly waitUntil: (promise: Promise<unknown>) => void;
}

export interface PermittedGrant extends Grant {
  readonly permission: GrantedPermission;
}

const ROUNDS = 3;

/** Uses of permissions outside of the gateway: the same constraints and the same charge as a call through it. */
export class PermissionUses {
  readonly #parts: UsesParts;

  constructor(parts: UsesParts) {
    this.#parts = parts;
  }

  /** What a token grants, where it is a live one of this permission; else null. Charges nothing. */
  async identify(caller: AgentCaller, id: PermissionId, token: string): Promise<PermittedGrant | null> {
    let grant: Grant;
    try {
      grant = await this.#parts.identify(token);
    } catch (error) {
      if (error instanceof Problem && error.status < 500) return null;
      throw error;
    }
    const { permission } = grant;
    if (grant.tenantId !== caller.tenantId || permission?.permissionId !== id) return null;
    return { ...grant, permission };
  }

  /**
   * One use, charged and recorded before it is answered; how often the token was then used. Throws UNAUTHORIZED for a
   * token that is not this permission's, or whose key is not proven, CONFLICT where the gateway's calls are its uses,
   * and PERMISSION_DENIED where `details` do not meet its constraints.
   */
  async use(
    caller: AgentCaller,
    id: PermissionId,
    { token, details }: { readonly token: string; readonly details: Readonly<Record<string, unknown>> },
    from: From,
  ): Promise<{ readonly grant: PermittedGrant; readonly uses: number }> {
    const grant = await this.identify(caller, id, token);
    if (grant === null) throw unauthorized();
    const { permission } = grant;
    if (permission.calls !== null) {
      throw new Problem("CONFLICT", "A call through the gateway is the use of this permission.", {
        why: `Send the call to the connection "${permission.calls.connection}" with the permission's token.`,
      });
    }
    const event = useEvent(grant, caller, details);
    const proof = await this.#prove(grant, token, event, from);
    const verdict = enforceConstraints(permission, viewOf(details), {});
    if (verdict.kind === "deny") {
      const { constraint } = verdict;
      this.#parts.admission.deny(grant, `permission_${constraint}`, event, { constraint });
      throw new Problem("PERMISSION_DENIED", "The permission does not cover this use.", { why: verdict.why });
    }
    return { grant, uses: await this.#charge(grant, verdict.tallies, proof, event, from) };
  }

  /** What is to be spent with the use; null for a token that is bound to no key. */
  async #prove(
    grant: PermittedGrant,
    token: string,
    event: EventDraft,
    { method, url, proof }: From,
  ): Promise<SpendableProof | null> {
    const presented = { token, scheme: "own", proof, method, url } as const;
    const verdict = await this.#parts.proofs.check(presented, grant.jkt);
    if (verdict.kind === "ok") return verdict.proof;
    this.#parts.admission.deny(grant, `proof_${verdict.reason}`, event);
    throw proofRefused();
  }

  async #charge(
    grant: PermittedGrant,
    tallies: Parameters<Admission["charge"]>[1]["tallies"],
    proof: SpendableProof | null,
    event: EventDraft,
    from: From,
  ): Promise<number> {
    const { admission, leases, waitUntil } = this.#parts;
    const callId = newId("call");
    const ip = from.sharedAddress ? null : from.ip;
    let epoch = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const current = leases.current(grant.tenantId, waitUntil);
      const lease =
        current !== null && current.epoch >= epoch ? current : await leases.ask(grant.tenantId, waitUntil);
      if (lease.frozen) throw frozen();
      const targets = { connection: null, secrets: [], classes: [] };
      if (isBelowWatermark(grant, lease.watermarks, targets)) throw unauthorized();
      const charge = { callId, epoch: lease.epoch, ip, event, tallies: tallies ?? [] };
      const verdict = await admission.charge(grant, proof === null ? charge : { ...charge, proof });
      if (verdict.kind === "allowed") return verdict.uses;
      if (verdict.kind !== "stale") throw denialOf(verdict, unauthorized);
      ({ epoch } = verdict);
    }
    throw new Problem("UNAVAILABLE", "The configuration changed too often to decide this use. Try again.");
  }
}

/** What is about to be done, as constraints see a call's body. */
function viewOf(details: Readonly<Record<string, unknown>>): RequestView {
  return {
    ...{ method: "", path: "", host: "", query: {}, headers: {}, size: null },
    body: { kind: "json", value: details },
  };
}

function unauthorized(): Problem {
  return new Problem("UNAUTHORIZED", "The token is not one of this permission that can be used.");
}

function useEvent(
  { permission, tokenId, context }: PermittedGrant,
  { actor, request }: AgentCaller,
  details: Readonly<Record<string, unknown>>,
): EventDraft {
  return {
    event_type: "permission.used",
    resource_type: "permission",
    resource: permission.permissionId,
    actor,
    ip_address: request.ip,
    user_agent: request.userAgent,
    outcome: "success",
    context: {
      ...context,
      token_id: tokenId,
      action: permission.action,
      resource: permission.resource,
      request_id: request.requestId,
      details,
    },
  };
}
