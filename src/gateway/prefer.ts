import { Problem } from "../base/problem.ts";
import { MAX_WAIT_SECONDS } from "../base/wait-query.ts";
import { fieldOf, type HeaderFields } from "./headers.ts";

/** What a caller would like where a call has to wait for people. */
export interface CallPreferences {
  /** For so many seconds the call may be held open; null: it said nothing. */
  readonly waitSeconds: number | null;
  /** It would have a 202 rather than a 403. */
  readonly respondAsync: boolean;
}

const NONE: CallPreferences = { waitSeconds: null, respondAsync: false };
const HEADER = "x-valetkey-prefer";
const MAX_CHARACTERS = 1_000;

/**
 * `X-Valetkey-Prefer`, in the syntax of `Prefer` (RFC 7240 §2), which belongs to the provider. Of one preference that
 * comes twice the first counts; unknown ones are ignored, and so are parameters. Throws VALIDATION_ERROR for what is not
 * of that syntax, and for a `wait` other than whole seconds from 0 to 60.
 */
export function preferencesOf(fields: HeaderFields): CallPreferences {
  const text = fieldOf(fields, HEADER);
  if (text === null) return NONE;
  const preferences = parsePreferences(text);
  const wait = preferences.get("wait");
  if (wait !== undefined && !(/^[0-9]{1,2}$/.test(wait) && Number(wait) <= MAX_WAIT_SECONDS)) {
    throw refused(`\`wait\` must be whole seconds from 0 to ${MAX_WAIT_SECONDS}.`);
  }
  return {
    waitSeconds: wait === undefined ? null : Number(wait),
    respondAsync: preferences.has("respond-async"),
  };
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
/** RFC 9110 §5.6.4. */
const QUOTED = /"((?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*)"/y;
const BLANK = /[ \t]*/y;

/** Names in lower case, and the first value of each: empty where it has none. One pass, without a step back. */
function parsePreferences(text: string): ReadonlyMap<string, string> {
  if (text.length > MAX_CHARACTERS) throw refused(`It may have ${MAX_CHARACTERS} characters.`);
  const found = new Map<string, string>();
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  const takeSign = (sign: string): boolean => {
    take(BLANK);
    if (text[at] !== sign) return false;
    at++;
    take(BLANK);
    return true;
  };
  const takePair = (): readonly [name: string, value: string] | null => {
    const name = take(TOKEN)?.[0].toLowerCase();
    if (name === undefined) return null;
    if (!takeSign("=")) return [name, ""];
    const value = take(TOKEN)?.[0] ?? take(QUOTED)?.[1]?.replace(/\\(.)/g, "$1");
    if (value === undefined) throw refused("A value is missing, or not closed.");
    return [name, value];
  };
  for (;;) {
    take(BLANK);
    // A list may have empty elements (RFC 9110 §5.6.1.2).
    const preference = takePair();
    if (preference !== null) {
      const [name, value] = preference;
      if (!found.has(name)) found.set(name, value);
      while (takeSign(";")) takePair();
    }
    if (at === text.length) return found;
    if (!takeSign(",")) throw refused("It is a list of preferences, separated by commas.");
  }
}

function refused(detail: string): Problem {
  return new Problem("VALIDATION_ERROR", `The header X-Valetkey-Prefer cannot be read. ${detail}`, {
    why: "Send `wait=30`, `respond-async`, or both, separated by a comma (RFC 7240).",
  });
}
