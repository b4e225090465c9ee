import { inAllowlist } from "../base/address.ts";
import { Problem } from "../base/problem.ts";
import { allows } from "../base/scope.ts";
import { DEFAULT_LIMITS } from "../connections/limits.ts";
import type { Lease } from "../identity/leases.ts";
import type { ChargePreview } from "../tokens/charge.ts";
import { denialOf } from "../tokens/denial.ts";
import type { Grant } from "../tokens/grant.ts";
import { unauthorized } from "./authenticate.ts";
import { checkApprovable } from "./approval.ts";
import type { AgentCall, ClientAddress } from "./call.ts";
import { type Decided, decideCall } from "./decide.ts";
import { type CheckResult, type ExplainedPolicy, Trail } from "./explain-trail.ts";
import { type ConnectionList, type Described, describedCall, isBodyTold, readUrl } from "./explained-call.ts";
import type { Gateway } from "./gateway.ts";
import type { Ask } from "./policing.ts";
import { unlessDead } from "./denied.ts";

/** What would become of a call, and why. */
export interface Explanation {
  /** `unknown`: whoever decides looks into the body, and it was not described. */
  readonly outcome: "allowed" | "refused" | "needs_approval" | "unknown";
  /** The refusal as the call would get it. */
  readonly refusal: Problem | null;
  /** The connection that the URL names, or that leads to where it does; null where none is known to. */
  readonly connection: string | null;
  /** More connections that lead there. */
  readonly others: readonly string[];
  /** Where the call would go, once that is known. */
  readonly destination: { readonly host: string; readonly path: string } | null;
  /** Of the token's scopes, which let it call the connection. */
  readonly scopes: readonly { readonly scope: string; readonly matched: boolean }[];
  /** By index, the rule of the connection's and of the token's `allow` that lets the call through; null: none does, or none is needed. */
  readonly rules: { readonly connection: number | null; readonly token: number | null };
  /** The policies that decide; none where nothing matched. */
  readonly policies: readonly ExplainedPolicy[];
  readonly token: {
    readonly tokenId: string;
    readonly expiresAt: number;
    readonly uses: number;
    /** Of the token and of all that it descends from, the fewest; null: as many as fit its life. */
    readonly usesLeft: number | null;
    readonly isAddressGood: boolean;
  };
  readonly checks: readonly CheckResult[];
}

const ROUNDS = 3;

/**
 * What would become of a call: decided by the same code as the call itself, charged and recorded nowhere. Secrets stay
 * closed: a credential that could not be obtained, or a value that fits nowhere, shows at the call. Throws UNAVAILABLE.
 */
export async function explainCall(
  parts: {
    readonly described: Described;
    readonly grant: Grant;
    /** The token's text, where it is known. */
    readonly token: string | null;
    readonly client: ClientAddress;
    readonly requestId: string;
  },
  gateway: Gateway,
  connections: ConnectionList,
): Promise<Explanation> {
  const { described, grant, client } = parts;
  const trail = new Trail(isBodyTold(described));
  const own: { slug: string | null; others: readonly string[] } = { slug: null, others: [] };
  const ip = client.shared ? null : client.address;
  let preview: ChargePreview | null = null;
  let refusal: Problem | null = null;
  let ask: Ask | null = null;
  try {
    const meant = await readUrl(described.url, grant, gateway, connections);
    if (grant.expiresAt <= gateway.clock()) throw trail.fail("token", unauthorized());
    Object.assign(own, { slug: meant.addressed.slug, others: meant.others });
    ({ preview, ask } = await runThrough(describedCall({ ...parts, meant }), gateway, trail));
  } catch (error) {
    if (!(error instanceof Problem) || error.status >= 500) throw error;
    refusal = error;
    trail.unread(error);
  }
  preview ??= await gateway.admission.preview(grant, { epoch: Number.MAX_SAFE_INTEGER, ip });
  const isUnknown = trail.isUnknown(refusal);
  return {
    outcome: isUnknown
      ? "unknown"
      : refusal !== null
        ? "refused"
        : ask !== null
          ? "needs_approval"
          : "allowed",
    refusal: isUnknown ? null : refusal,
    connection: own.slug,
    others: own.others,
    destination: trail.destination(),
    scopes: scopesFor(grant, own.slug),
    rules: trail.rules(grant, described.method),
    policies: trail.policies(),
    token: {
      tokenId: grant.tokenId,
      expiresAt: grant.expiresAt,
      uses: preview.uses.at(-1) ?? 0,
      usesLeft: usesLeft(grant, preview.uses),
      isAddressGood: grant.ipAllowlist.length === 0 || (ip !== null && inAllowlist(ip, grant.ipAllowlist)),
    },
    checks: trail.checks(grant, refusal),
  };
}

/** Decides, and asks what a charge would come to; throws the Problem that the call would be refused with. */
async function runThrough(
  call: AgentCall,
  gateway: Gateway,
  trail: Trail,
): Promise<{ readonly preview: ChargePreview; readonly ask: Ask | null }> {
  let epoch = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const lease = await leaseFor(call.grant, gateway, epoch);
    const { route, ask, tallies, reservation } = await decide(call, gateway, lease, trail);
    const limit = route.limits.concurrent_calls ?? DEFAULT_LIMITS.concurrent_calls;
    const concurrency = { connection: route.slug, limit };
    const preview = await gateway.admission.preview(call.grant, {
      epoch: lease.epoch,
      ip: call.ip,
      concurrency,
      ...(tallies.length === 0 ? null : { tallies }),
      ...(reservation === null ? null : { budgets: reservation.claims }),
    });
    const { verdict } = preview;
    if (verdict.kind === "allowed") {
      trail.charged(null);
      return { preview, ask };
    }
    if (verdict.kind !== "stale") {
      trail.charged(verdict.kind === "denied" ? verdict.reason : null);
      throw denialOf(verdict, unauthorized);
    }
    ({ epoch } = verdict);
  }
  throw new Problem("UNAVAILABLE", "The configuration changed too often to decide this call. Try again.");
}

async function decide(call: AgentCall, gateway: Gateway, lease: Lease, trail: Trail): Promise<Decided> {
  try {
    const decided = await decideCall(gateway, call, lease, trail);
    checkApprovable(decided);
    return decided;
  } catch (error) {
    if (!(error instanceof Problem) || error.status >= 500) throw error;
    const told = await unlessDead(call, gateway, error);
    if (told !== error) throw trail.fail(told.code === "ADDRESS_DENIED" ? "address" : "token", told);
    throw error;
  }
}

async function leaseFor({ tenantId }: Grant, { leases, waitUntil }: Gateway, epoch: number): Promise<Lease> {
  const current = leases.current(tenantId, waitUntil);
  return current !== null && current.epoch >= epoch ? current : leases.ask(tenantId, waitUntil);
}

function scopesFor({ scopes }: Grant, slug: string | null): Explanation["scopes"] {
  return scopes.map((scope) => ({
    scope,
    matched: slug !== null && allows([scope], "connections", "call", slug),
  }));
}

function usesLeft({ maxUses, ancestors }: Grant, uses: readonly number[]): number | null {
  const limits = [...ancestors.map((each) => each.maxUses), maxUses];
  const left = limits.flatMap((limit, at) => (limit === null ? [] : [Math.max(0, limit - (uses[at] ?? 0))]));
  return left.length === 0 ? null : Math.min(...left);
}
