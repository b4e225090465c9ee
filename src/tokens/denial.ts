import { proofRefused } from "../base/bearer.ts";
import { Problem } from "../base/problem.ts";
import type { ChargeVerdict, Denied } from "./charge.ts";
import { unrecorded } from "./admission.ts";

/**
 * What a caller is told of a verdict that is not "allowed". A revoked or expired token answers like one that never
 * was: `unauthorized` is the door's own.
 */
export function denialOf(
  verdict: Exclude<ChargeVerdict, { kind: "allowed" | "stale" }>,
  unauthorized: () => Problem,
): Problem {
  if (verdict.kind === "unrecorded") return unrecorded();
  switch (verdict.reason) {
    case "revoked":
    case "expired":
      return unauthorized();
    case "address":
      return new Problem("ADDRESS_DENIED", "This token may not be used from this address.", {
        why: "Call from one of the addresses it was issued for, or ask for a token with yours in `ip_allowlist`.",
      });
    case "proof":
      return proofRefused();
    case "uses":
      return new Problem("USES_EXHAUSTED", "This token has no uses left.", { why: "Ask for a new token." });
    case "rate": {
      const seconds = verdict.retryAfterSeconds ?? 1;
      return new Problem("RATE_LIMITED", `This token's rate is used up for another ${seconds} s.`, {
        headers: { "retry-after": String(seconds) },
        why: "Wait as long as Retry-After says.",
      });
    }
    case "concurrency":
      return new Problem("CONCURRENCY_LIMITED", "Too many calls of this token are under way here.", {
        headers: { "retry-after": "1" },
        why: "Wait for one to end. An editor can raise `limits.concurrent_calls` of the connection.",
      });
    case "tally":
      return new Problem("PERMISSION_DENIED", "The permission does not cover this much.", {
        why: `Its constraint "${verdict.key}" would be exceeded. Ask for a permission that covers more.`,
      });
    case "budget":
      return budgetExceeded(verdict);
  }
}

function budgetExceeded({
  budget,
  refillsAt,
  retryAfterSeconds,
}: Extract<Denied, { reason: "budget" }>): Problem {
  const until = refillsAt === null ? null : new Date(refillsAt).toISOString();
  return new Problem("BUDGET_EXCEEDED", `The budget "${budget.name}" has too little left for this call.`, {
    budget: { ...budget, refillsAt: until },
    headers: retryAfterSeconds === null ? {} : { "retry-after": String(retryAfterSeconds) },
    why:
      until === null
        ? "It does not refill. An editor can raise its limit."
        : `It refills at ${until}. An editor can raise its limit.`,
  });
}

/** The refusal of everything that tokens and agents ask for while their tenant is frozen. */
export function frozen(): Problem {
  return new Problem("TENANT_FROZEN", "All tokens of this tenant are stopped.", {
    why: "An admin must lift the freeze first.",
  });
}
