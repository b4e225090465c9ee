import { inAllowlist } from "../base/address.ts";
import { proofRefused } from "../base/bearer.ts";
import type { Problem } from "../base/problem.ts";
import type { SpendableProof } from "../identity/dpop/presented.ts";
import { denialOf } from "../tokens/denial.ts";
import { unauthorized } from "./authenticate.ts";
import { type AgentCall, callEvent } from "./call.ts";
import type { Gateway } from "./gateway.ts";
import { checkProof } from "./proof.ts";

/** A refusal that was decided before charging: recorded, and what the agent is told instead where its token is dead. */
export function refused(call: AgentCall, gateway: Gateway, error: Problem): Promise<Problem> {
  gateway.admission.deny(call.grant, error.code, callEvent(call, call.path, null), error.options.by);
  return unlessDead(call, gateway, error);
}

/** The proof that a call is charged with. A refusal is recorded, and says nothing to a dead token. */
export async function proven(call: AgentCall, gateway: Gateway): Promise<SpendableProof | null> {
  const verdict = await checkProof(call, gateway);
  if (verdict.kind === "ok") return verdict.proof;
  gateway.admission.deny(call.grant, `proof_${verdict.reason}`, callEvent(call, call.path, null));
  throw await unlessDead(call, gateway, proofRefused());
}

/** What a token that could not be charged anyway is told instead of why its call was refused (attack 57). */
export async function unlessDead(call: AgentCall, gateway: Gateway, refusal: Problem): Promise<Problem> {
  const { ipAllowlist } = call.grant;
  if (await gateway.admission.isRevoked(call.grant)) return unauthorized();
  const isElsewhere = ipAllowlist.length > 0 && (call.ip === null || !inAllowlist(call.ip, ipAllowlist));
  return isElsewhere ? denialOf({ kind: "denied", reason: "address" }, unauthorized) : refusal;
}
