import { visible } from "../../src/approvals/shown-text.ts";

type Child = Node | string | null;

/** An element. Strings are text, never markup; what others wrote goes through `said` or `shown`. */
export function el<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Readonly<Record<string, string | boolean>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** What somebody else wrote, with what would deceive made visible, and isolated from what stands around it (UAX #9). */
export function said(text: string): HTMLElement {
  return shown(visible(text, true));
}

/** What the API has made visible already: the members of `shown`. */
export function shown(text: string): HTMLElement {
  return el("bdi", {}, text);
}

/** The same in fixed width: ids, paths, values. */
export function code(text: string): HTMLElement {
  return el("code", {}, said(text));
}

/** Rows of a name and what stands for it; without those that have nothing. */
export function rows(
  entries: readonly (readonly [name: Child, value: Child])[],
  className = "",
): HTMLDListElement | null {
  const full = entries.filter(([, value]) => value !== null && value !== "");
  if (full.length === 0) return null;
  return el(
    "dl",
    className === "" ? {} : { class: className },
    ...full.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
  );
}

export function list(items: readonly Child[]): HTMLElement | null {
  return items.length === 0 ? null : el("ul", {}, ...items.map((item) => el("li", {}, item)));
}

/** A part of the page with a heading of its own. */
export function section(heading: string, ...children: readonly Child[]): HTMLElement {
  const title = el("h2", {}, heading);
  title.id = `part-${heading.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
  return el("section", { "aria-labelledby": title.id }, title, ...children);
}

export function chip(text: string, kind: string): HTMLElement {
  return el("span", { class: "chip", "data-kind": kind }, text);
}

function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no #${id}`);
  return element;
}

export const view = byId("view");
export const live = byId("live");
export const who = byId("who");
const status = byId("status");

const SAID_FOR_MS = 10_000;
let unsaid: ReturnType<typeof setTimeout> | undefined;

/** Says something to the person, aloud too, for a while: what matters longer stands in the page. `heard`: aloud only. */
export function say(text: string, kind: "busy" | "done" | "failed" | "heard" = "busy"): void {
  clearTimeout(unsaid);
  status.dataset["kind"] = kind;
  status.textContent = text;
  unsaid = setTimeout(() => status.replaceChildren(), SAID_FOR_MS);
}
