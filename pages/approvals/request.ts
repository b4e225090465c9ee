import { agent, type Agent } from "./agents.ts";
import { answerForm, choicesOf } from "./answer.ts";
import { type Approval, type ApprovalDetail, ask } from "./api.ts";
import { callFacts } from "./call-facts.ts";
import { chip, code, el, list, rows, said, say, section, shown, view } from "./elements.ts";
import { grantedFacts, permissionFacts } from "./permission-facts.ts";
import { reasons, standing } from "./standing.ts";
import { moment } from "./times.ts";
import { tokenFacts } from "./token-facts.ts";
import { gistOf, KINDS, statusOf, titleOf } from "./words.ts";

let held: ApprovalDetail | null = null;
let choices: string | null = null;

const head = el("div", { class: "head" });
const gist = el("p", { class: "quiet" });
const changing = el("div");
const answer = el("div");

let refused = (): void => undefined;

/**
 * Reads a request anew; the first time, shows all of it. `id`: as it stands in the path. `again` is called where an
 * answer is refused. Throws Refusal.
 */
export async function loadRequest(id: string, again: () => void): Promise<void> {
  refused = again;
  const approval = await ask<ApprovalDetail>("GET", `/v1/approvals/${id}`);
  if (!head.isConnected) {
    choices = null;
    const by = await agent(approval.agent_id);
    const title = approval.shown === null ? said(titleOf(approval)) : shown(approval.shown.title);
    view.replaceChildren(
      head,
      el("h1", {}, title),
      gist,
      whoAsks(approval, by),
      ...(approval.shown === null ? [] : callFacts(approval.shown)),
      ...tokenFacts(approval),
      ...permissionFacts(approval),
      reasons(approval),
      changing,
      answer,
    );
  }
  show(approval);
}

/** Takes over what has happened to it. */
export function updateRequest(id: string, approval: Approval): void {
  if (held !== null && approval.id === id) show({ ...held, ...approval });
}

function show(approval: ApprovalDetail): void {
  const before = held;
  held = approval;
  const text = statusOf(approval);
  head.replaceChildren(chip(KINDS[approval.kind], approval.kind), chip(text, approval.status));
  document.title = `${text} · Valetkey`;
  gist.replaceChildren(...gistOf(approval));
  const granted = grantedFacts(approval);
  changing.replaceChildren(...(granted === null ? [] : [granted]), standing(approval));
  if (before !== null && before.status !== approval.status) say(`${text}.`, "done");
  if (choices === choicesOf(approval)) return;
  choices = choicesOf(approval);
  const form = answerForm(approval, (after) => updateRequest(approval.id, after), refused);
  const hadFocus = answer.contains(document.activeElement);
  answer.replaceChildren(...(form === null ? [] : [form]));
  if (hadFocus) view.focus();
}

function whoAsks(approval: Approval, by: Agent | null): HTMLElement {
  const { agent_id, token_id, on_behalf_of, ip_address, requested_at } = approval;
  return section(
    "Who asks",
    rows([
      [
        "Agent",
        by === null
          ? code(agent_id)
          : el("span", {}, el("b", {}, said(by.name)), " ", chip(`trust: ${by.trust_tier}`, by.trust_tier)),
      ],
      ["Its id", by === null ? null : code(agent_id)],
      ["Its token", token_id === null ? null : code(token_id)],
      ["On behalf of", list(on_behalf_of.map(said))],
      ["From", ip_address === null ? null : code(ip_address)],
      ["Asked", moment(requested_at)],
    ]),
  );
}
