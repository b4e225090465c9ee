import { Problem } from "../base/problem.ts";
import type { AuditEvent } from "./event.ts";

/**
 * What callers control (paths, user agents, names) ends up in logs, terminals and spreadsheets. Characters that break
 * a line, reorder text or cannot be seen are written out, so that nobody forges a line or hides half of one.
 */
const VISIBLE_ASCII = /^[\x20-\x7e]*$/;
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const EVENT_ID = /^[\x21-\x7e]{1,200}$/;

const MAX_CONTEXT_CHARACTERS = 8_192;
const MAX_CONTEXT_STRING = 2_048;
const MAX_CONTEXT_KEY = 64;
const MAX_CONTEXT_DEPTH = 5;

/**
 * The text with control, format, bidirectional, line-separating and lone-surrogate characters as `\u` escapes, cut to
 * `maxLength` UTF-16 units with a final `…`. Cleaning twice changes nothing.
 */
export function visibleText(text: string, maxLength: number): string {
  if (text.length <= maxLength && VISIBLE_ASCII.test(text)) return text;
  const shown = text.slice(0, maxLength + 1).replace(INVISIBLE, escaped);
  if (shown.length <= maxLength) return shown;
  const cut = shown.slice(0, maxLength - 1);
  return `${cut.isWellFormed() ? cut : cut.slice(0, -1)}…`;
}

function escaped(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16);
  return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
}

/**
 * An event fit for the ledger: free text visible and bounded, `timestamp` in one form, `context` plain JSON of about
 * 8,000 characters (`truncated: true` where that left something out). `undefined` if its id or timestamp is malformed.
 */
export function cleanEvent(event: AuditEvent): AuditEvent | undefined {
  if (typeof event.id !== "string" || !EVENT_ID.test(event.id)) return undefined;
  const timestamp = cleanTimestamp(event.timestamp);
  if (timestamp === undefined) return undefined;
  return {
    id: event.id,
    event_type: event.event_type,
    resource_type: event.resource_type,
    resource: visibleText(String(event.resource), 1_024),
    actor: visibleText(String(event.actor), 256),
    ip_address: typeof event.ip_address === "string" ? visibleText(event.ip_address, 64) : null,
    user_agent: typeof event.user_agent === "string" ? visibleText(event.user_agent, 512) : null,
    outcome: event.outcome,
    timestamp,
    context: cleanContext(event.context),
  };
}

/**
 * `cleanEvent` for events on their way through a database: only what the ledger will keep is written, so nobody fills
 * the way with rows that are too large to take on. Throws INTERNAL for a malformed id or timestamp, which no caller decides.
 */
export function fitForOutbox(event: AuditEvent): AuditEvent {
  const clean = cleanEvent(event);
  if (clean === undefined) throw new Problem("INTERNAL", "An event has a malformed id or timestamp.");
  return clean;
}

/** Four-digit years only, so that timestamps sort as text. */
function cleanTimestamp(timestamp: string): string | undefined {
  const time = Date.parse(timestamp);
  if (!(time >= 0 && time < Date.UTC(10_000, 0))) return undefined;
  return new Date(time).toISOString();
}

function cleanContext(context: AuditEvent["context"]): Record<string, unknown> {
  const budget = { left: MAX_CONTEXT_CHARACTERS };
  const members = cleanMembers(context ?? {}, budget, 1);
  return budget.left < 0 ? { ...members, truncated: true } : members;
}

function cleanMembers(value: object, budget: { left: number }, depth: number): Record<string, unknown> {
  const members: [string, unknown][] = [];
  for (const [name, member] of Object.entries(value)) {
    if (member === undefined) continue;
    const key = visibleText(name, MAX_CONTEXT_KEY);
    budget.left -= key.length + 4;
    const kept = cleanValue(member, budget, depth);
    if (budget.left < 0) break;
    members.push([key, kept]);
  }
  // fromEntries defines members, so that one called `__proto__` stays one.
  return Object.fromEntries(members);
}

function cleanValue(value: unknown, budget: { left: number }, depth: number): unknown {
  switch (typeof value) {
    case "string": {
      const text = visibleText(value, MAX_CONTEXT_STRING);
      budget.left -= text.length + 2;
      return text;
    }
    case "number":
      budget.left -= 8;
      return Number.isFinite(value) ? value : String(value);
    case "boolean":
      budget.left -= 5;
      return value;
    case "object":
      break;
    default:
      budget.left -= 8;
      return null;
  }
  budget.left -= 4;
  if (value === null) return null;
  if (depth >= MAX_CONTEXT_DEPTH) return "…";
  if (!Array.isArray(value)) return cleanMembers(value, budget, depth + 1);
  const items: unknown[] = [];
  for (const item of value) {
    const kept = cleanValue(item, budget, depth + 1);
    if (budget.left < 0) break;
    items.push(kept);
  }
  return items;
}
