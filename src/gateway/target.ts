import { Problem } from "../base/problem.ts";
import { overridesMethod } from "./method-override.ts";

/**
 * The request target, parsed once from the bytes the client sent (never through `new URL`, which would resolve dots
 * and backslashes before anybody looked). What is checked is what is sent: the gateway builds the upstream URL from
 * this and from nothing else.
 */
export interface Target {
  /** `host[:port]` as the client named it, lower case. */
  readonly host: string;
  /**
   * Canonical path: unreserved characters are never escaped, those that a URL parser escapes always, escapes are in
   * capitals, no dot segments, no `//`.
   */
  readonly path: string;
  /** Raw query without `?`. */
  readonly query: string;
  readonly scheme: "http" | "https";
}

const UNRESERVED = /[A-Za-z0-9._~-]/;
/** What `fetch` would escape in a path (WHATWG URL, path percent-encode set): one spelling, before it is checked. */
const ESCAPED_BY_FETCH = /["<>^`{}]/g;

function refuse(what: string): never {
  throw new Problem(
    "PATH_REFUSED",
    `The request path ${what}; the upstream might read it differently than the gateway.`,
    {
      why: "Send the path in its plain form: no dot segments, double slashes, backslashes, semicolons or nested escapes.",
    },
  );
}

/** Splits a raw absolute URL (`request.url`) and canonicalises its path. Throws PATH_REFUSED (attacks 5, 23–27). */
export function parseTarget(rawUrl: string): Target {
  const match = /^(https?):\/\/([^/?#\\@\s]*)([^?#]*)(?:\?([^#]*))?/.exec(rawUrl);
  if (match === null) refuse("is not one of an HTTP request");
  const [, scheme, host, rawPath = "", query = ""] = match;
  return {
    scheme: scheme === "https" ? "https" : "http",
    host: (host ?? "").toLowerCase(),
    path: canonicalPath(rawPath === "" ? "/" : rawPath),
    query: checkQuery(query),
  };
}

/**
 * The one spelling of a path. `%2F` stays within its segment (providers use it in names), but nothing in a decoded
 * segment may act as a separator or a dot segment, nor be escaped once more.
 */
export function canonicalPath(raw: string): string {
  if (raw === "" || raw.charCodeAt(0) !== 47) refuse("does not begin with a slash");
  if (PLAIN_PATH.test(raw)) return raw;
  const segments = raw.split("/");
  return segments
    .map((segment, index) => {
      if (segment === "" && index > 0 && index < segments.length - 1) refuse("has an empty segment (`//`)");
      return canonicalSegment(segment);
    })
    .join("/");
}

/** The common case, decided at once: no escapes, nothing unusual, no segment that begins with a dot, no `//`. */
const PLAIN_PATH = /^(?:\/[A-Za-z0-9_~:@!$'()*+,=-][A-Za-z0-9._~:@!$'()*+,=-]*)*\/?$/;

function canonicalSegment(segment: string): string {
  let decoded: string;
  if (/[^\x21-\x7e]/.test(segment)) refuse("has characters outside printable ASCII");
  if (/%(?![0-9A-Fa-f]{2})/.test(segment)) refuse("has a broken percent escape");
  try {
    decoded = decodeURIComponent(segment);
  } catch {
    refuse("has an escape that is not UTF-8");
  }
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f-\u009f]/.test(decoded)) refuse("has an escaped control character");
  if (decoded.includes("\\")) refuse("has a backslash");
  if (decoded.includes(";")) refuse("has a semicolon");
  if (/%[0-9A-Fa-f]{2}/.test(decoded)) refuse("has a nested percent escape");
  if (decoded.split("/").some((part) => part === "." || part === "..")) refuse("has a dot segment");
  if (decoded.includes("/") && decoded.split("/").includes("")) refuse("has an empty segment (`%2F%2F`)");
  return segment
    .replace(/%([0-9A-Fa-f]{2})/g, (escape, hex: string) => {
      const character = String.fromCharCode(Number.parseInt(hex, 16));
      return UNRESERVED.test(character) ? character : escape.toUpperCase();
    })
    .replace(ESCAPED_BY_FETCH, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Queries pass byte for byte; what cannot stand in one at all, or switches the method, is refused (attack 28). */
function checkQuery(query: string): string {
  if (query === "") return query;
  if (/[^\x21-\x7e]/.test(query)) refuse("is followed by a query with characters outside printable ASCII");
  if (overridesMethod(query)) refuse("is followed by a query that overrides the method");
  return query;
}
