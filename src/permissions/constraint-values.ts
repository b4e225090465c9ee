import type { ConstraintKind } from "../tokens/permission.ts";
import { millionthsOfNumber } from "./amount.ts";
import { patternFault } from "./whole-pattern.ts";

/** What a scope says of one constraint: a number, a text, or a list of texts. */
export type ScopeValue = number | string | readonly string[];

/** By the names that an action gives its constraints. */
export type Scope = Readonly<Record<string, ScopeValue>>;

const MAX_LISTED = 100;
const MAX_TEXT = 500;

/** What is wrong with a value for a constraint of a kind; null: nothing. */
export function faultOf(kind: ConstraintKind, value: ScopeValue): string | null {
  switch (kind) {
    case "max_count":
      return isWhole(value) && value >= 1 ? null : "must be a whole number from 1";
    case "max_length":
    case "max_items":
    case "max_size":
      return isWhole(value) ? null : "must be a whole number from 0";
    case "max_amount":
    case "max_total":
      return typeof value === "number" && millionthsOfNumber(value) !== null
        ? null
        : "must be a number from 0 with at most six decimals, such as 100 or 12.5";
    case "one_of":
    case "only_fields":
      return listFault(value);
    case "equals":
      return typeof value === "string" && isText(value)
        ? null
        : `must be a text of at most ${MAX_TEXT} characters`;
    case "pattern":
      return typeof value === "string" && isText(value)
        ? patternFault(value)
        : "must be an RE2 expression such as ^Invoice #\\d+$";
  }
}

function listFault(value: ScopeValue): string | null {
  if (typeof value !== "object" || value.length === 0 || value.length > MAX_LISTED || !value.every(isText)) {
    return `must be a list of 1 to ${MAX_LISTED} texts`;
  }
  if (value.some((text) => text.includes("*"))) return "must name each one: `*` stands for nothing here";
  return new Set(value).size === value.length ? null : "must name each one once";
}

function isText(text: string): boolean {
  return text.length >= 1 && text.length <= MAX_TEXT;
}

function isWhole(value: ScopeValue): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/**
 * What both allow: the smaller number, the values in both lists, every pattern of both. Null where nothing does. The
 * first one's spelling stands where both say the same.
 */
export function narrower(kind: ConstraintKind, one: ScopeValue, other: ScopeValue): ScopeValue | null {
  if (typeof one === "number" && typeof other === "number") return Math.min(one, other);
  if (kind === "pattern") return both(listOf(one), listOf(other));
  if (kind === "equals") return one === other ? one : null;
  const common = listOf(one).filter((text) => listOf(other).includes(text));
  return common.length === 0 ? null : common;
}

function both(one: readonly string[], other: readonly string[]): ScopeValue {
  const all = [...new Set([...one, ...other])];
  return all.length === 1 ? (all[0] ?? "") : all;
}

/** The texts of a value; none of a number. */
export function listOf(value: ScopeValue): readonly string[] {
  if (typeof value === "number") return [];
  return typeof value === "string" ? [value] : value;
}

/** Whether a value allows nothing that the other does not. */
export function isWithin(kind: ConstraintKind, inner: ScopeValue, outer: ScopeValue): boolean {
  if (kind === "pattern") return listOf(outer).every((pattern) => listOf(inner).includes(pattern));
  if (typeof inner === "number") return typeof outer === "number" && inner <= outer;
  if (typeof outer === "number") return false;
  return listOf(inner).every((text) => listOf(outer).includes(text));
}
