import type { Approval } from "./api.ts";
import { code, el, list, rows, said, section } from "./elements.ts";
import { me } from "./person.ts";
import { countdown, moment, span } from "./times.ts";
import { countOf, isDelayed } from "./words.ts";

/** How a request stands: who has answered, and what time does. */
export function standing(approval: Approval): HTMLElement {
  const { status, approvals, approvals_needed, delay_seconds, expires_at, not_before, decided_at } = approval;
  const isDelay = isDelayed(approval) && not_before !== null;
  return section(
    "How it stands",
    rows([
      ["Approvals", `${approvals} of ${approvals_needed}`],
      ["By", list(approval.votes.map(voteOf))],
      ["Delay", delay_seconds === 0 ? null : `${span(delay_seconds)} after the last approval`],
      ["Answer within", status === "pending" ? countdown(expires_at) : null],
      ["In force in", isDelay ? countdown(not_before) : null],
      ["Can be used for", status === "approved" && !isDelay ? countdown(expires_at) : null],
      ["Used", approval.consumed_at === null ? null : moment(approval.consumed_at)],
      ...endOf(approval, decided_at),
    ]),
  );
}

function endOf({ status, ended_by, reason }: Approval, decidedAt: string | null) {
  if (status !== "denied" && status !== "cancelled" && status !== "expired") return [];
  const name = { denied: "Denied", cancelled: "Cancelled", expired: "Expired" }[status];
  return [
    [name, decidedAt === null ? null : moment(decidedAt)],
    ["By", ended_by === null ? null : personOf(ended_by.replace(/^member:/, ""))],
    ["Reason", reason === null ? null : said(reason)],
  ] as const;
}

function voteOf({ member_id, at, comment }: Approval["votes"][number]): HTMLElement {
  return el(
    "span",
    {},
    personOf(member_id),
    ", ",
    moment(at),
    comment === null ? null : el("span", {}, ": ", said(comment)),
  );
}

function personOf(id: string): HTMLElement {
  return id === me()?.id ? el("b", {}, "you") : code(id);
}

/** Why people are asked, and how many. */
export function reasons({
  tier,
  policies,
  approvals_needed,
  delay_seconds,
  digest,
  id,
}: Approval): HTMLElement {
  const delay = delay_seconds === 0 ? "" : `, and ${span(delay_seconds)} to object after the last one`;
  const different = approvals_needed === 1 ? "" : " by different people";
  return section(
    "Why people are asked",
    rows([
      ["Strictest tier", tier],
      ["Policies", list(policies.map(policyOf))],
      ["It takes", `${countOf(approvals_needed, "approval")}${different}${delay}`],
      ["Digest, SHA-256", el("code", { class: "hash" }, digest)],
      ["Id", code(id)],
    ]),
  );
}

function policyOf({ name, version, message }: Approval["policies"][number]): HTMLElement {
  return el(
    "span",
    {},
    said(name),
    el("span", { class: "quiet" }, ` version ${version}`),
    message === null ? null : el("span", {}, ": ", said(message)),
  );
}
