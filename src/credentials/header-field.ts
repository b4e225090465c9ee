import { z } from "zod";
import { unusable } from "./secret-text.ts";

/** RFC 9110, 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** What a header value may hold here: printable ASCII, and no space at either end, since HTTP takes those off. */
const VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

/**
 * Headers that frame the message, route it, name the caller or belong to a hop: a credential there would change what
 * the request *is*. `cookie` is among them: it would carry the credential beside a client's own cookies.
 */
const RESERVED = new Set([
  "accept-encoding",
  "alt-used",
  "cdn-loop",
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "cookie",
  "expect",
  "fastly-client-ip",
  "forwarded",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "set-cookie",
  "te",
  "trailer",
  "transfer-encoding",
  "true-client-ip",
  "upgrade",
  "via",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
  "x-real-ip",
]);

const RESERVED_PREFIXES = ["cf-", "mf-", "x-forwarded-", "x-valetkey-", "proxy-", "sec-"];

/** Servers that hand headers on as variables (CGI, WSGI, PHP) make one name of all that folds alike. */
function fold(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "-");
}

/** The name of a header that may carry a credential: an RFC 9110 token, not one of the transport's own. */
export const headerName = z
  .string()
  .max(64)
  .regex(TOKEN, "must be a header name (RFC 9110 token)")
  .refine((name) => {
    const folded = fold(name);
    return !RESERVED.has(folded) && !RESERVED_PREFIXES.some((prefix) => folded.startsWith(prefix));
  }, "must not be a header of the transport, of the gateway, or a cookie");

/** Takes off every header that a server could read as `name`: any case, `_` or another separator for `-`. */
export function removeHeader(headers: Headers, name: string): void {
  const target = fold(name);
  const found = [...headers.keys()].filter((candidate) => fold(candidate) === target);
  for (const candidate of found) headers.delete(candidate);
}

/**
 * Checks that a secret can stand in a header as it is. Throws `SECRET_UNUSABLE` on CR, LF, NUL, other control
 * characters, non-ASCII, and space at either end.
 */
export function checkHeaderSecret(name: string, text: string): string {
  if (!VALUE.test(text)) {
    throw unusable(
      name,
      "cannot stand in a header: it has a control or non-ASCII character, or begins or ends with space",
    );
  }
  return text;
}
