import type { Problem } from "../base/problem.ts";
import type { PolicyEffect, PolicyReads, PolicyRef, PolicyVerdict } from "../policies/verdict.ts";
import type { DenialReason } from "../tokens/charge.ts";
import type { Grant } from "../tokens/grant.ts";
import { connectionRule, tokenRule } from "./authorize.ts";
import type { DecisionStep, DecisionTrace } from "./decide.ts";
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
    "policies",
    "permission",
  ] as const),
  ...(["proof", "uses", "rate", "concurrency", "budgets"] as const),
] as const;
export type Check = (typeof CHECKS)[number];

/** A policy, and why it counts: `error` is one that could not be evaluated. */
export interface ExplainedPolicy extends PolicyRef {
  readonly effect: PolicyEffect;
  readonly cause: "matched" | "error";
}

/** `ok` is null for what was not looked at, because the call was refused before, or cannot be told. */
export interface CheckResult {
  readonly check: Check;
  readonly ok: boolean | null;
  readonly detail: string | null;
}

/** In the order of a token's object; what it refuses first, it says. */
const CHARGED: readonly { readonly check: Check; readonly reasons: readonly DenialReason[] }[] = [
  { check: "token", reasons: ["revoked", "expired"] },
  { check: "address", reasons: ["address"] },
  { check: "proof", reasons: ["proof"] },
  { check: "uses", reasons: ["uses"] },
  { check: "rate", reasons: ["rate"] },
  { check: "concurrency", reasons: ["concurrency"] },
  { check: "permission", reasons: ["tally"] },
  { check: "budgets", reasons: ["budget"] },
];

/** What can depend on what a call carries. */
const OF_THE_BODY: ReadonlySet<Check | null> = new Set<Check>(["policies", "permission", "budgets"]);

/** How far a call came. */
export class Trail implements DecisionTrace {
  /** Whether it was described what the call carries. */
  readonly #isBodyTold: boolean;
  readonly #passed = new Map<Check, boolean>();
  #step: Check | null = null;
  #route: Route | null = null;
  #path = "";
  #isLookedInto = false;
  #verdict: PolicyVerdict = { kind: "none" };
  #constraint: string | null = null;

  constructor(isBodyTold: boolean) {
    this.#isBodyTold = isBodyTold;
  }

  step(name: DecisionStep): void {
    if (this.#step !== null) this.#passed.set(this.#step, true);
    this.#step = name;
  }

  at(route: Route, path: string): void {
    this.#route = route;
    this.#path = path;
  }

  looked(reads: PolicyReads): void {
    this.#isLookedInto = reads.body;
  }

  policed(verdict: PolicyVerdict): void {
    this.#verdict = verdict;
  }

  constrained(constraint: string): void {
    this.#constraint = constraint;
  }

  /** Forgets what came before: a token that is dead, or elsewhere, is told nothing else. */
  fail(check: Check, problem: Problem): Problem {
    this.#passed.clear();
    this.#route = null;
    this.#verdict = { kind: "none" };
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
    // What is left of them is known when all else is.
    this.#passed.delete("budgets");
    for (const { check, reasons } of CHARGED) {
      if (refused !== null && reasons.includes(refused)) {
        this.#step = check;
        return;
      }
      this.#passed.set(check, true);
    }
  }

  destination(): { readonly host: string; readonly path: string } | null {
    if (this.#route === null) return null;
    const { authority, basePath } = this.#route.destination;
    return { host: authority, path: basePath + this.#path };
  }

  rules(grant: Grant, method: string): { readonly connection: number | null; readonly token: number | null } {
    const route = this.#route;
    if (route === null) return { connection: null, token: null };
    const call = { method, path: this.#path };
    const orNull = (index: number): number | null => (index < 0 ? null : index);
    return {
      connection: route.allow === null ? null : orNull(connectionRule(route.allow, call)),
      token: grant.allow === null ? null : orNull(tokenRule(grant.allow, route.slug, call)),
    };
  }

  policies(): readonly ExplainedPolicy[] {
    const verdict = this.#verdict;
    switch (verdict.kind) {
      case "none":
        return [];
      case "allow":
        return [{ ...verdict.policy, effect: "allow", cause: "matched" }];
      case "deny":
        return [{ ...verdict.policy, effect: "deny", cause: verdict.cause }];
      case "require_approval":
        return verdict.policies.map((policy) => ({
          ...policy,
          effect: "require_approval",
          cause: "matched",
        }));
    }
  }

  /** Whether it depends on a body of which nothing is known, where the call was refused for `refusal` or for nothing. */
  isUnknown(refusal: Problem | null): boolean {
    if (this.#isBodyTold || !this.#isLookedInto) return false;
    // What does not need the body to deny denies whatever is in it.
    if (this.#verdict.kind === "deny" && this.#verdict.cause === "matched") return false;
    if (this.#constraint === "calls") return false;
    return refusal === null || OF_THE_BODY.has(this.#step);
  }

  checks({ jkt, permission }: Grant, refusal: Problem | null): readonly CheckResult[] {
    const isUnknown = this.isUnknown(refusal);
    const isAsking = this.#verdict.kind === "require_approval" && permission === null;
    return CHECKS.map((check) => {
      if (isUnknown && OF_THE_BODY.has(check)) {
        return { check, ok: null, detail: "It depends on the body, which was not described." };
      }
      if (check === this.#step && refusal !== null) return { check, ok: false, detail: refusal.message };
      if (check === "policies" && isAsking && this.#passed.has(check)) {
        return { check, ok: null, detail: "People have to approve exactly this call, if they have not yet." };
      }
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
