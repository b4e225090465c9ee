import { z } from "zod";
import { foldCase } from "./fold-case.ts";

/**
 * `name=value&name=value` as text: a query, or an `application/x-www-form-urlencoded` body. Nothing is parsed and put
 * together again; pairs that stay, stay byte for byte.
 */

/** Rounds of percent-decoding tried on a name: servers behind proxies decode more than once. */
const DECODING_ROUNDS = 3;

/** The name of a query parameter or body field that may carry a credential. */
export const parameterName = z
  .string()
  .max(128)
  .regex(/^[\x21-\x7e]+$/, "must be printable ASCII without spaces");

/** Percent-encodes everything but RFC 3986's unreserved characters. */
export function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** Decodes `%XX` (bytes as Latin-1; names are ASCII) and the `%uXXXX` of old Windows servers; leaves the rest. */
export function percentDecode(text: string): string {
  return text.replace(/%(?:u([0-9a-f]{4})|([0-9a-f]{2}))/gi, (_, wide: string | undefined, byte: string) =>
    String.fromCharCode(Number.parseInt(wide ?? byte, 16)),
  );
}

/**
 * A name as lenient servers see it: PHP cuts at NUL, trims, and reads dots and spaces as `_`; `URLSearchParams` takes
 * off a `?` that a query begins with, as that of `/x??name=value` does.
 */
function foldName(name: string): string {
  const [beforeNul = ""] = name.split("\0", 1);
  return foldCase(beforeNul.replace(/^[\s?]+/, "")).replace(/[ .]/g, "_");
}

function readsAs(pair: string, target: string): boolean {
  const equals = pair.indexOf("=");
  let name = (equals < 0 ? pair : pair.slice(0, equals)).replaceAll("+", " ");
  for (let round = 0; round <= DECODING_ROUNDS; round += 1) {
    const folded = foldName(name);
    // `name[]` and `name[x]` make an array or a map of the same name in PHP, Rails and qs.
    if (folded === target || folded.startsWith(`${target}[`)) return true;
    const decoded = percentDecode(name);
    if (decoded === name) return false;
    name = decoded;
  }
  return false;
}

/**
 * Takes off every pair a server could read as `name`: duplicates, any case, any percent-encoding, `name[]`, and pairs
 * behind `;` where a server splits there too.
 */
export function withoutParameter(text: string, name: string): string {
  const target = foldName(name);
  return text
    .split("&")
    .filter((pair) => !readsAs(pair, target))
    .map((pair) => {
      if (!pair.includes(";")) return pair;
      return pair
        .split(";")
        .filter((part) => !readsAs(part, target))
        .join(";");
    })
    .join("&");
}

/** Appends `name=value`, both percent-encoded. */
export function withParameter(text: string, name: string, value: string): string {
  const pair = `${percentEncode(name)}=${percentEncode(value)}`;
  return text === "" ? pair : `${text}&${pair}`;
}
