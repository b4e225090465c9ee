import type { ShownField, ShownFields } from "../../src/approvals/shown-schema.ts";
import { el, rows, said, shown } from "./elements.ts";
import { countOf } from "./words.ts";

const AT_ONCE = 40;

/** The value of a field as the API shows it, with what there is to be wary of. */
function valueOf({ value, cut, scripts }: ShownField): HTMLElement {
  return el(
    "span",
    {},
    el("code", {}, shown(value)),
    cut === null ? null : cutNote(cut),
    scripts.length === 0
      ? null
      : el("span", { class: "note" }, `Mixes letters that look alike: ${scripts.join(" and ")}.`),
  );
}

export function cutNote({ bytes, sha256 }: NonNullable<ShownField["cut"]>): HTMLElement {
  return el(
    "span",
    { class: "note" },
    `This is only its beginning: ${bytes} bytes in all, SHA-256 ${sha256}.`,
  );
}

/** What matters most of a call, in large. */
export function pickedFields(fields: readonly ShownField[]): HTMLElement | null {
  return rows(
    fields.map((field) => [shown(field.name), valueOf(field)]),
    "picked",
  );
}

/** Fields by their names; a long list in part at first. */
export function fieldRows({ fields, more }: ShownFields): HTMLElement | null {
  const all = fields.map((field) => [el("code", {}, shown(field.name)), valueOf(field)] as const);
  if (all.length === 0) return null;
  const rest = rows(all.slice(AT_ONCE));
  return el(
    "div",
    {},
    rows(all.slice(0, AT_ONCE)),
    rest === null ? null : folded(countOf(all.length - AT_ONCE, "more field"), rest),
    more === 0 ? null : el("p", { class: "note" }, `${countOf(more, "field")} more, which cannot be shown.`),
  );
}

/** Something to be opened. */
export function folded(summary: string, ...content: readonly (Node | string | null)[]): HTMLElement {
  return el("details", {}, el("summary", {}, summary), ...content);
}

/** Members of an object that an agent wrote, as text. */
export function memberRows(members: Readonly<Record<string, unknown>>): HTMLElement | null {
  return rows(
    Object.entries(members)
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([name, value]) => [said(name), said(typeof value === "string" ? value : JSON.stringify(value))]),
  );
}
