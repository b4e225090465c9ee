import { inAllowlist } from "../base/address.ts";
import { Problem } from "../base/problem.ts";
import { allows } from "../base/scope.ts";
import { DEFAULT_LIMITS } from "../connections/limits.ts";
import type { Lease } from "../identity/leases.ts";
import type { ChargePreview, DenialReason } from "../tokens/charge.ts";
import { denialOf } from "../tokens/denial.ts";
import type { Grant } from "../tokens/grant.ts";
import { unauthorized } from "./authenticate.ts";
import { connectionRule, tokenRule } from "./authorize.ts";
import type { AgentCall, ClientAddress } from "./call.ts";
import { type Decided, decideCall, type DecisionStep, type DecisionTrace } from "./decide.ts";
import { type ConnectionList, type Described, describedCall, readUrl } from "./explained-call.ts";
import type { Gateway } from "./gateway.ts";
import { unlessDead } from "./proxy.ts";
import type { Route } from "./route.ts";

/** What a call is held against, in the order in which it is. */
export const CHECKS = [
  ...([
    "address",
    "token",
    "scope",
    "connection",
    "request",
    "rules",
    "body",
    "references",
    "secrets",
  ] as const),
  ...(["proof", "uses", "rate", "concurrency"] as const),
] as const;
export type Check = (typeof CHECKS)[number];

/** What would become of a call, and why. */
export interface Explanation {
  readonly outcome: "allowed" | "refused" | "needs_approval";
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
  readonly token: {
    readonly tokenId: string;
    readonly expiresAt: number;
    readonly uses: number;
    /** Of the token and of all that it descends from, the fewest; null: as many as fit its life. */
    readonly usesLeft: number | null;
    readonly isAddressGood: boolean;
  };
  /** `ok` is null for what was not looked at, because the call was refused before. */
  readonly checks: readonly {
    readonly check: Check;
    readonly ok: boolean | null;
    readonly detail: string | null;
  }[];
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
  const trail = new Trail();
  const own: { slug: string | null; others: readonly string[] } = { slug: null, others: [] };
  const ip = client.shared ? null : client.address;
  let preview: ChargePreview | null = null;
  let refusal: Problem | null = null;
  try {
    const meant = await readUrl(described.url, grant, gateway, connections);
    if (grant.expiresAt <= gateway.clock()) throw trail.fail("token", unauthorized());
    Object.assign(own, { slug: meant.addressed.slug, others: meant.others });
    preview = await runThrough(describedCall({ ...parts, meant }), gateway, trail);
  } catch (error) {
    if (!(error instanceof Problem) || error.status >= 500) throw error;
    refusal = error;
    trail.unread(error);
  }
  preview ??= await gateway.admission.preview(grant, { epoch: Number.MAX_SAFE_INTEGER, ip });
  const isAsking = refusal?.code === "APPROVAL_REQUIRED";
  return {
    outcome: refusal === null ? "allowed" : isAsking ? "needs_approval" : "refused",
    refusal,
    connection: own.slug,
    others: own.others,
    destination: trail.destination(),
    scopes: scopesFor(grant, own.slug),
    rules: trail.rules(grant, described.method),
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
async function runThrough(call: AgentCall, gateway: Gateway, trail: Trail): Promise<ChargePreview> {
  let epoch = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const lease = await leaseFor(call.grant, gateway, epoch);
    const { route } = await decide(call, gateway, lease, trail);
    const limit = route.limits.concurrent_calls ?? DEFAULT_LIMITS.concurrent_calls;
    const concurrency = { connection: route.slug, limit };
    const preview = await gateway.admission.preview(call.grant, {
      epoch: lease.epoch,
      ip: call.ip,
      concurrency,
    });
    const { verdict } = preview;
    if (verdict.kind === "allowed") {
      trail.charged(null);
      return preview;
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
    return await decideCall(gateway, call, lease, trail);
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

/** In the order of a token's object; what it refuses first, it says. */
const CHARGED: readonly { readonly check: Check; readonly reasons: readonly DenialReason[] }[] = [
  { check: "token", reasons: ["revoked", "expired"] },
  { check: "address", reasons: ["address"] },
  { check: "proof", reasons: ["proof"] },
  { check: "uses", reasons: ["uses"] },
  { check: "rate", reasons: ["rate"] },
  { check: "concurrency", reasons: ["concurrency"] },
];

/** How far a call came. */
class Trail implements DecisionTrace {
  readonly #passed = new Map<Check, boolean>();
  #step: Check | null = null;
  #route: Route | null = null;
  #path = "";

  step(name: DecisionStep): void {
    if (this.#step !== null) this.#passed.set(this.#step, true);
    this.#step = name;
  }

  at(route: Route, path: string): void {
    this.#route = route;
    this.#path = path;
  }

  /** Forgets what came before: a token that is dead, or elsewhere, is told nothing else. */
  fail(check: Check, problem: Problem): Problem {
    this.#passed.clear();
    this.#route = null;
    this.#step = check;
    return problem;
  }

  /** Where nothing was announced yet, it was the reading of the URL that refused. */
  unread({ code }: Problem): void {
    this.#step ??= code === "NOT_FOUND" || code === "DESTINATION_DENIED" ? "connection" : "request";
  }

  /** Everything was decided in the call's favour; a charge is refused for a reason, or is not. */
  charged(refused: DenialReason | null): void {
    if (this.#step !== null) this.#passed.set(this.#step, true);
    this.#step = null;
    for (const { check, reasons } of CHARGED) {
      if (refused !== null && reasons.includes(refused)) {
        this.#step = check;
        return;
      }
      this.#passed.set(check, true);
    }
  }

  destination(): Explanation["destination"] {
    if (this.#route === null) return null;
    const { authority, basePath } = this.#route.destination;
    return { host: authority, path: basePath + this.#path };
  }

  rules(grant: Grant, method: string): Explanation["rules"] {
    const route = this.#route;
    if (route === null) return { connection: null, token: null };
    const call = { method, path: this.#path };
    const orNull = (index: number): number | null => (index < 0 ? null : index);
    return {
      connection: route.allow === null ? null : orNull(connectionRule(route.allow, call)),
      token: grant.allow === null ? null : orNull(tokenRule(grant.allow, route.slug, call)),
    };
  }

  checks({ jkt }: Grant, refusal: Problem | null): Explanation["checks"] {
    return CHECKS.map((check) => {
      if (check === this.#step && refusal !== null) return { check, ok: false, detail: refusal.message };
      if (check === "proof" && jkt !== null && this.#passed.has(check)) {
        return {
          check,
          ok: null,
          detail: "The call must prove the token's key (DPoP); taken for granted here.",
        };
      }
      return { check, ok: this.#passed.get(check) ?? null, detail: null };
    });
  }
}
