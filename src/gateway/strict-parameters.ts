import type { Parameters } from "../policies/request-view.ts";
import { StrictNames } from "./strict-names.ts";
import { ambiguous } from "./strict-refusal.ts";

/** PHP and qs read no more. */
const MAX_PARAMETERS = 1_000;
const PRINTABLE = /^[\x21-\x7e]*$/;

type Place = "body" | "query";

/**
 * Reads a body of `application/x-www-form-urlencoded` that every parser reads alike. Throws BODY_AMBIGUOUS for what
 * some would take for something else (`strict-names.ts`): a name twice, unless it ends with `[]` and makes a list;
 * `;`, at which some split; broken escapes and such that are not UTF-8; NUL.
 */
export function readStrictForm(bytes: Uint8Array): Parameters {
  return read("body", Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1"));
}

/** The same of a query without its `?`. */
export function readStrictQuery(query: string): Parameters {
  return read("query", query);
}

function read(place: Place, text: string): Parameters {
  const found = Object.create(null) as Record<string, string | string[]>;
  if (text === "") return found;
  if (!PRINTABLE.test(text)) ambiguous(place, "has characters that must be escaped");
  if (text.includes(";")) ambiguous(place, "has a `;` that is not escaped");
  const names = new StrictNames();
  let count = 0;
  for (const pair of text.split("&")) {
    if (pair === "") continue;
    count += 1;
    if (count > MAX_PARAMETERS) ambiguous(place, `has more than ${MAX_PARAMETERS} parameters`);
    const equals = pair.indexOf("=");
    const name = decoded(place, equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? "" : decoded(place, pair.slice(equals + 1));
    if (value.includes("\0")) ambiguous(place, "has a NUL character");
    const known = found[name];
    if (known === undefined) {
      const fault = names.add(name);
      if (fault !== null) ambiguous(place, fault);
      found[name] = name.endsWith("[]") ? [value] : value;
    } else if (typeof known === "string") ambiguous(place, "has the same name twice");
    else known.push(value);
  }
  return found;
}

function decoded(place: Place, text: string): string {
  if (!text.includes("%") && !text.includes("+")) return text;
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return ambiguous(place, "has a broken escape, or one that is not UTF-8");
  }
}
