import { proofRefused } from "../base/bearer.ts";
import { newId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { RequestInfo } from "../base/request.ts";
import { allows } from "../base/scope.ts";
import type { TokenUse } from "../identity/caller.ts";
import type { Presented, SpendableProof } from "../identity/dpop/presented.ts";
import type { Proofs } from "../identity/dpop/proofs.ts";
import type { Lease } from "../identity/leases.ts";
import type { Admission } from "./admission.ts";
import type { EventDraft } from "./charge.ts";
import { denialOf, frozen } from "./denial.ts";
import type { Grant } from "./grant.ts";
import { isBelowWatermark, type UseTargets } from "./watermarks.ts";

const ROUNDS = 3;

interface Leasing {
  current(tenantId: Grant["tenantId"], waitUntil: (promise: Promise<unknown>) => void): Lease | null;
  ask(tenantId: Grant["tenantId"], waitUntil: (promise: Promise<unknown>) => void): Promise<Lease>;
}

/** Scoped tokens on the control plane: the same checks and the same charge as a call through a connection. */
export class ControlPlaneUses {
  readonly #admission: Admission;
  readonly #leases: Leasing;
  readonly #proofs: Pick<Proofs, "check">;
  readonly #waitUntil: (promise: Promise<unknown>) => void;

  constructor(parts: {
    readonly admission: Admission;
    readonly leases: Leasing;
    readonly proofs: Pick<Proofs, "check">;
    readonly waitUntil: (promise: Promise<unknown>) => void;
  }) {
    this.#admission = parts.admission;
    this.#leases = parts.leases;
    this.#proofs = parts.proofs;
    this.#waitUntil = parts.waitUntil;
  }

  /**
   * Whose token it is; charges nothing. Throws UNAUTHORIZED unless it could be used now, as far as that can be told
   * without a use: not where its uses are spent, nor where only a look at what a connection uses would show that a bulk
   * revocation reaches it.
   */
  async identify(token: string): Promise<Grant> {
    const grant = await this.#grant(token);
    const [lease, isRevoked] = await Promise.all([this.#lease(grant, 0), this.#admission.isRevoked(grant)]);
    if (isRevoked) throw unauthorized();
    checkLease(grant, lease, []);
    const isDead = (scope: string): boolean => isBelowWatermark(grant, lease.watermarks, targetsOf(scope));
    // One of a permission for use outside of the gateway has none.
    if (grant.scopes.length > 0 && grant.scopes.every(isDead)) throw unauthorized();
    return grant;
  }

  /** As `identify`, for who sent it: one that is bound to a key must prove it. The proof is still to be spent. */
  async present(
    presented: Presented,
  ): Promise<{ readonly grant: Grant; readonly proof: SpendableProof | null }> {
    const grant = await this.identify(presented.token);
    const verdict = await this.#proofs.check(presented, grant.jkt);
    if (verdict.kind === "refused") throw proofRefused();
    return { grant, proof: verdict.proof };
  }

  /** For what is not charged. Throws UNAUTHORIZED where the proof was used before (attack 58). */
  spend(grant: Grant, proof: SpendableProof): Promise<void> {
    return this.#admission.spend(grant, proof);
  }

  /** Charges one use of a token whose scopes cover it, and records it as `use.eventType`. */
  async use(
    presented: Presented,
    use: TokenUse,
    request: RequestInfo & { readonly sharedAddress: boolean },
  ): Promise<{ readonly grant: Grant }> {
    const grant = await this.#grant(presented.token);
    const event = useEvent(grant, use, request);
    const proof = await this.#prove(grant, presented, event);
    const callId = newId("call");
    let epoch = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const lease = await this.#lease(grant, epoch);
      try {
        checkLease(grant, lease, use.resource === "secrets" ? [use.target] : []);
        checkScope(grant, use);
      } catch (error) {
        if (error instanceof Problem) this.#admission.deny(grant, error.code, event);
        throw error;
      }
      const ip = request.sharedAddress ? null : request.ip;
      const charge = { callId, epoch: lease.epoch, ip, event, ...(proof === null ? {} : { proof }) };
      const verdict = await this.#admission.charge(grant, charge);
      if (verdict.kind === "allowed") return { grant };
      if (verdict.kind !== "stale") throw denialOf(verdict, unauthorized);
      ({ epoch } = verdict);
    }
    throw new Problem("UNAVAILABLE", "The configuration changed too often to decide this call. Try again.");
  }

  /** The proof to be charged with, null where none is needed; a dead token hears nothing of proofs (attack 57). */
  async #prove(grant: Grant, presented: Presented, event: EventDraft): Promise<SpendableProof | null> {
    const verdict = await this.#proofs.check(presented, grant.jkt);
    if (verdict.kind === "ok") return verdict.proof;
    this.#admission.deny(grant, `proof_${verdict.reason}`, event);
    throw (await this.#admission.isRevoked(grant)) ? unauthorized() : proofRefused();
  }

  async #grant(token: string): Promise<Grant> {
    const claims = this.#admission.verify(token);
    const grant = claims === null ? null : await this.#admission.grant(claims);
    if (grant === null) throw unauthorized();
    return grant;
  }

  async #lease(grant: Grant, epoch: number): Promise<Lease> {
    const current = this.#leases.current(grant.tenantId, this.#waitUntil);
    if (current !== null && current.epoch >= epoch) return current;
    return this.#leases.ask(grant.tenantId, this.#waitUntil);
  }
}

function unauthorized(): Problem {
  return new Problem("UNAUTHORIZED", "The token is not valid.");
}

function checkLease(grant: Grant, lease: Lease, secrets: readonly string[]): void {
  if (lease.frozen) throw frozen();
  const targets = { connection: null, secrets, classes: secrets.length > 0 ? null : [] };
  if (isBelowWatermark(grant, lease.watermarks, targets)) throw unauthorized();
}

/** What a scope reaches, where it names one thing; on the control plane the classes of a secret are not looked up. */
function targetsOf(scope: string): UseTargets {
  const [resource, action, pattern = "*"] = scope.split(":");
  if (pattern.includes("*")) return { connection: null, secrets: [], classes: [] };
  if (resource === "connections") return { connection: pattern, secrets: [], classes: [] };
  return { connection: null, secrets: [pattern], classes: action === "use" ? [] : null };
}

function checkScope(grant: Grant, use: TokenUse): void {
  if (allows(grant.scopes, use.resource, use.action, use.target)) return;
  const scope = use.resource === "namespaces" ? "namespaces:read" : `secrets:${use.action}:${use.target}`;
  throw new Problem("SCOPE_DENIED", "This token's scopes do not cover the request.", {
    why: `Ask for a token with the scope "${scope}".`,
  });
}

function useEvent(grant: Grant, use: TokenUse, request: RequestInfo): EventDraft {
  return {
    event_type: use.eventType,
    resource_type: use.resource === "secrets" ? "secret" : "token",
    resource: use.resource === "secrets" ? use.target : grant.tokenId,
    actor: `agent:${grant.agentId}`,
    ip_address: request.ip,
    user_agent: request.userAgent,
    outcome: "success",
    context: { ...grant.context, token_id: grant.tokenId, action: use.action, request_id: request.requestId },
  };
}
