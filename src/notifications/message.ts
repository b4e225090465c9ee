import { visibleText } from "../audit/clean.ts";
import type { NoticeData, NoticeValue } from "./notice.ts";

/** What people are shown of a notice, for a channel to put into its own form. Nothing in it is markup. */
export interface Message {
  /** Of words of ours alone. */
  readonly title: string;
  /** At most ten; agents decide what stands in the values. One line each. */
  readonly fields: readonly { readonly label: string; readonly value: string }[];
  /** Where it is answered, after signing in: the link alone decides nothing. */
  readonly link: { readonly label: string; readonly url: string } | null;
}

/** A notice as a channel gets it: its data clean and bounded (`cleanData`). */
export interface CleanNotice {
  readonly id: string;
  readonly type: string;
  readonly at: number;
  readonly data: NoticeData;
}

const MAX_DATA_CHARACTERS = 8_192;
const MAX_STRING = 2_048;
const MAX_NAME = 64;
const MAX_DEPTH = 5;
const MAX_FIELDS = 10;
const MAX_VALUE = 300;
const MAX_LABEL = 60;
const APPROVAL = /^apr_[0-9a-f]{24}$/;

/**
 * Data fit to leave: text with its control, format and bidirectional characters made visible, passed through `mask`,
 * cut; about 8,000 characters in all (`truncated: true` where that left something out).
 */
export function cleanData(data: NoticeData, mask: (text: string) => string): NoticeData {
  const budget = { left: MAX_DATA_CHARACTERS };
  const cleaned = cleanMembers(data, mask, budget, 1);
  return budget.left < 0 ? { ...cleaned, truncated: true } : cleaned;
}

function cleanMembers(
  data: NoticeData,
  mask: (text: string) => string,
  budget: { left: number },
  depth: number,
): NoticeData {
  const members: [string, NoticeValue][] = [];
  for (const [name, value] of Object.entries(data)) {
    if (value === undefined) continue;
    const key = visibleText(mask(name), MAX_NAME);
    budget.left -= key.length + 4;
    const kept = cleanValue(value, mask, budget, depth);
    if (budget.left < 0) break;
    members.push([key, kept]);
  }
  return Object.fromEntries(members);
}

function cleanValue(
  value: NoticeValue,
  mask: (text: string) => string,
  budget: { left: number },
  depth: number,
): NoticeValue {
  if (typeof value === "string") {
    // Masked before it is cut: half of a credential has no shape any more.
    const text = visibleText(mask(value), MAX_STRING);
    budget.left -= text.length + 2;
    return text;
  }
  budget.left -= 8;
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (value === null || typeof value === "boolean") return value;
  if (typeof value !== "object") return null;
  if (depth >= MAX_DEPTH) return "…";
  if (!isList(value)) return cleanMembers(value, mask, budget, depth + 1);
  const items: NoticeValue[] = [];
  for (const item of value) {
    const kept = cleanValue(item, mask, budget, depth + 1);
    if (budget.left < 0) break;
    items.push(kept);
  }
  return items;
}

function isList(value: NoticeValue): value is readonly NoticeValue[] {
  return Array.isArray(value);
}

/** Where a notice's approval is answered, below `origin`; null for a notice that is about none. */
export function approvalUrl(origin: string, data: NoticeData): string | null {
  const id = data["approval_id"];
  return typeof id === "string" && APPROVAL.test(id) ? `${origin}/approvals/${id}` : null;
}

/** What people are shown of a notice. `origin`: `https://host[:port]` of the gateway. */
export function messageOf(notice: CleanNotice, origin: string): Message {
  const url = approvalUrl(origin, notice.data);
  const entries = Object.entries(notice.data).filter(([, value]) => value !== null && value !== "");
  const shown = entries.length > MAX_FIELDS ? entries.slice(0, MAX_FIELDS - 1) : entries;
  const fields = shown.map(([name, value]) => ({ label: labelOf(name), value: valueOf(value) }));
  if (shown.length < entries.length)
    fields.push({ label: "More", value: `${entries.length - shown.length} further details` });
  return {
    title: labelOf(notice.type.replace(".", "_")),
    fields,
    link: url === null ? null : { label: notice.type === "approval.requested" ? "Review" : "Open", url },
  };
}

/** `approval_requested` → `Approval requested`. */
function labelOf(name: string): string {
  const words = visibleText(name.replaceAll("_", " "), MAX_LABEL);
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function valueOf(value: NoticeValue): string {
  return visibleText(typeof value === "string" ? value : JSON.stringify(value), MAX_VALUE);
}
