import { foldCase } from "./fold-case.ts";

/**
 * The members of a JSON object as text. Nothing is parsed and put together again, so that numbers, key order, white
 * space and duplicates the client sent arrive as they were sent.
 */

const SPACE = /^[ \t\n\r]*/;

/** True if the text is one JSON object (RFC 8259); everything else here may then trust its grammar. */
export function isJsonObject(text: string): boolean {
  try {
    JSON.parse(text);
  } catch {
    return false;
  }
  return text.charAt(leadingSpace(text)) === "{";
}

function leadingSpace(text: string): number {
  return SPACE.exec(text)?.[0].length ?? 0;
}

interface Members {
  /** Up to and including the `{`. */
  readonly head: string;
  /** What stands between the commas, white space included; none for an empty object. */
  readonly members: readonly string[];
  /** From the `}` on; for an empty object also the white space before it. */
  readonly tail: string;
}

/** Index just behind the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

/** Splits a valid JSON object at the commas of its outermost level. */
function split(text: string): Members {
  const start = leadingSpace(text) + 1;
  const members: string[] = [];
  let from = start;
  let depth = 1;
  let at = start;
  while (depth > 0) {
    const character = text[at];
    if (character === '"') {
      at = endOfString(text, at);
      continue;
    }
    if (character === "{" || character === "[") depth += 1;
    if (character === "}" || character === "]") depth -= 1;
    if (depth === 1 && character === ",") {
      members.push(text.slice(from, at));
      from = at + 1;
    }
    at += 1;
  }
  const last = text.slice(from, at - 1);
  if (members.length === 0 && last.trim() === "")
    return { head: text.slice(0, start), members, tail: text.slice(start) };
  return { head: text.slice(0, start), members: [...members, last], tail: text.slice(at - 1) };
}

function join({ head, members, tail }: Members): string {
  return head + members.join(",") + tail;
}

/** The member's name with its escapes decoded. */
function nameOf(member: string): string {
  const start = leadingSpace(member);
  return String(JSON.parse(member.slice(start, endOfString(member, start))));
}

/**
 * Takes off every outermost member a server could read as `name`: duplicates, escapes in the key, other case. `text`
 * must be a JSON object. Text without such a member comes back as it is.
 */
export function withoutMember(text: string, name: string): string {
  const object = split(text);
  const target = foldCase(name);
  const kept = object.members.filter((member) => foldCase(nameOf(member)) !== target);
  return kept.length === object.members.length ? text : join({ ...object, members: kept });
}

/** Puts a string member in front of all others. `text` must be a JSON object. */
export function withMember(text: string, name: string, value: string): string {
  const object = split(text);
  return join({
    ...object,
    members: [`${JSON.stringify(name)}:${JSON.stringify(value)}`, ...object.members],
  });
}
