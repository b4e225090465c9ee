import { type ApprovalNotice, Problem } from "../base/problem.ts";
import type { Claim } from "../approvals/desk.ts";
import { policyBy } from "../policies/verdict.ts";
import type { Ask } from "./policing.ts";
import type { CallPreferences } from "./prefer.ts";

/** How soon to come back where nobody knows: people take their time. */
const USUAL_RETRY_SECONDS = 30;

/** The refusal of a call that people have to answer first: a 202 for a caller who prefers one. */
export function approvalRequired(
  claim: Extract<Claim, { kind: "pending" }>,
  ask: Ask,
  { respondAsync, waitSeconds }: CallPreferences,
  now: number,
): Problem {
  const { approvalsNeeded, notBefore } = claim;
  const many = approvalsNeeded === 1 ? "A person has" : `${approvalsNeeded} people have`;
  const applied = [
    ...(respondAsync ? ["respond-async"] : []),
    ...(waitSeconds === null ? [] : [`wait=${waitSeconds}`]),
  ];
  const said = ask.policies.find(({ message }) => message !== null)?.message;
  return new Problem(
    "APPROVAL_REQUIRED",
    notBefore === null
      ? `${many} to approve this call before it is made.`
      : `This call is approved, and may be made from ${iso(notBefore)} on.`,
    {
      approval: noticeOf(claim, respondAsync, {
        requires_approval: true,
        approvals_needed: approvalsNeeded,
        not_before: notBefore === null ? null : iso(notBefore),
      }),
      headers: {
        ...headersOf(claim),
        "retry-after": String(
          notBefore === null ? USUAL_RETRY_SECONDS : Math.max(1, Math.ceil((notBefore - now) / 1000)),
        ),
        ...(applied.length === 0 ? {} : { "x-valetkey-preference-applied": applied.join(", ") }),
      },
      why: `${said === undefined || said === null ? "" : `${said} `}Once it is approved, send exactly the same request again: it goes through once. With \`X-Valetkey-Prefer: wait=60\` it is held open until then.`,
    },
  );
}

/** The refusal of a call that somebody has said no to. */
export function approvalDenied(claim: Extract<Claim, { kind: "denied" }>): Problem {
  const { reason, expiresAt } = claim;
  return new Problem(
    "APPROVAL_DENIED",
    `A person has denied this call${reason === null ? "." : `: ${reason}`}`,
    {
      approval: noticeOf(claim, false, {}),
      headers: headersOf(claim),
      why: `Do something else. The same call can be asked for again from ${iso(expiresAt)} on.`,
    },
  );
}

/** Of what goes over a WebSocket nothing is known when it is opened: there is no exact call to approve. */
export function notApprovable(ask: Ask): Problem {
  const [policy] = ask.policies;
  const name = policy === undefined ? "A policy" : `The policy "${policy.name}"`;
  return new Problem(
    "POLICY_DENIED",
    `${name} wants people to approve this call, and nobody can approve a WebSocket.`,
    {
      ...(policy === undefined ? {} : { by: policyBy(policy, "unapprovable") }),
      why: "What will be said over it is not known beforehand. Use the provider's plain requests, or ask an admin for a policy that allows or denies such connections.",
    },
  );
}

function noticeOf(
  { approvalId, expiresAt }: Pick<Extract<Claim, { kind: "denied" }>, "approvalId" | "expiresAt">,
  isAccepted: boolean,
  members: ApprovalNotice["members"],
): ApprovalNotice {
  return {
    id: approvalId,
    isAccepted,
    members: {
      ...members,
      status_url: `/v1/approvals/agent/${approvalId}`,
      approval_url: `/approvals/${approvalId}`,
      expires_at: iso(expiresAt),
    },
  };
}

/** SDKs drop what they do not know of a body, and keep headers. */
function headersOf({ approvalId }: { readonly approvalId: string }): Record<string, string> {
  return { "x-valetkey-approval": approvalId };
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
