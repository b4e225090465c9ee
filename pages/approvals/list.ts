import { type Agent, agent } from "./agents.ts";
import { type Approval, type ApprovalDetail, type ApprovalList, ask } from "./api.ts";
import { chip, el, said, say, section, shown, view } from "./elements.ts";
import { countOf, gistOf, KINDS, statusOf, titleOf } from "./words.ts";

const RECENT = 20;

/** So many calls are shown by what they do; what that is stands sealed, and is asked for one by one. */
const TITLED = 20;

let held = new Map<string, Approval>();
const titles = new Map<string, string>();
let waited: number | null = null;
let turns = 0;

/** Reads anew what waits, what was approved and not used yet, and what came of the latest. Throws Refusal. */
export async function loadList(): Promise<void> {
  const lists = await Promise.all(
    ["status=pending&limit=200", "status=approved&limit=200", `limit=${RECENT}`].map((query) =>
      ask<ApprovalList>("GET", `/v1/approvals?${query}`),
    ),
  );
  held = new Map(lists.flatMap(({ approvals }) => approvals).map((approval) => [approval.id, approval]));
  await show();
}

/** Takes over what has happened to one. */
export function updateList(approval: Approval): Promise<void> {
  held.set(approval.id, approval);
  return show();
}

async function show(): Promise<void> {
  const turn = ++turns;
  const newest = [...held.values()].sort((a, b) => b.requested_at.localeCompare(a.requested_at));
  const pending = newest.filter(({ status }) => status === "pending");
  const approved = newest.filter(({ status }) => status === "approved");
  const ids = [...new Set(newest.map(({ agent_id }) => agent_id))];
  const [agents] = await Promise.all([
    Promise.all(ids.map(async (id) => [id, await agent(id)] as const)).then((found) => new Map(found)),
    ...[...pending, ...approved].slice(0, TITLED).map(learnTitle),
  ]);
  // Something else has happened meanwhile, and is shown instead.
  if (turn !== turns) return;
  const over = newest.filter(({ status }) => status !== "pending" && status !== "approved").slice(0, RECENT);
  const part = (heading: string, some: readonly Approval[]): HTMLElement[] => {
    const items = some.map((approval) => item(approval, agents.get(approval.agent_id) ?? null));
    return items.length === 0 ? [] : [section(heading, el("ul", { class: "requests" }, ...items))];
  };
  const count = countOf(pending.length, "request");
  const focused = document.activeElement?.getAttribute("href") ?? null;
  view.replaceChildren(
    el("h1", {}, pending.length === 0 ? "Nothing waits for you" : `${count} to answer`),
    ...part("Waiting", pending),
    ...part("Approved, not used yet", approved),
    ...part("Lately", over),
  );
  if (focused !== null) view.querySelector<HTMLElement>(`a[href="${CSS.escape(focused)}"]`)?.focus();
  document.title = `${pending.length === 0 ? "" : `(${pending.length}) `}Approvals · Valetkey`;
  if (waited !== null && waited !== pending.length) say(`${count} to answer`, "heard");
  waited = pending.length;
}

async function learnTitle({ id, kind }: Approval): Promise<void> {
  if (kind !== "call" || titles.has(id)) return;
  const { shown: call } = await ask<ApprovalDetail>("GET", `/v1/approvals/${id}`).catch(() => ({
    shown: null,
  }));
  if (call !== null) titles.set(id, call.title);
}

function item(approval: Approval, by: Agent | null): HTMLElement {
  const { id, kind, status } = approval;
  const title = titles.get(id);
  return el(
    "li",
    {},
    el(
      "a",
      { href: `/approvals/${id}` },
      el("strong", {}, title === undefined ? said(titleOf(approval)) : shown(title)),
      chip(status === "pending" ? KINDS[kind] : statusOf(approval), status === "pending" ? kind : status),
      el(
        "span",
        { class: "quiet" },
        el("br"),
        "by ",
        said(by?.name ?? approval.agent_id),
        ": ",
        ...gistOf(approval),
      ),
    ),
  );
}
