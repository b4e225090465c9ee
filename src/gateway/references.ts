import { allows } from "../base/scope.ts";
import { secretPathSchema } from "../base/secret-path.ts";
import { Problem } from "../base/problem.ts";
import type { OpenSecrets, Outgoing } from "../credentials/kind.ts";
import { secretText } from "../credentials/secret-text.ts";
import type { Grant } from "../tokens/grant.ts";
import type { Route } from "./route.ts";

const REFERENCE = /vault:\/\/([A-Za-z0-9_][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*)+)/g;
const ENCODED_REFERENCE =
  /vault(?::|%3A)(?:\/|%2F){2}([A-Za-z0-9_][A-Za-z0-9._-]*(?:(?:\/|%2F)[A-Za-z0-9_][A-Za-z0-9._-]*)+)/gi;

/** Each is looked up, and opened, for the call. */
const MAX_REFERENCES = 20;
/** A body with its references filled in is held whole, like the one that came. */
const MAX_BODY_BYTES = 1024 * 1024;
/** Headers in all, and the query: no upstream takes more. */
const MAX_LINE_CHARACTERS = 64 * 1024;

/**
 * Secret references (`vault://path`) in a request: they let a template say where a secret goes without knowing it.
 * Only where the connection allows them (`references`) and the token holds `secrets:use` on the path; elsewhere the
 * text passes as it is.
 */
export function findReferences(outgoing: Outgoing, route: Route, grant: Grant): ReadonlySet<string> {
  const paths = new Set<string>();
  if (route.references.length === 0) return paths;
  if (route.references.includes("headers")) {
    for (const [, value] of outgoing.headers) {
      for (const [, path] of value.matchAll(REFERENCE)) paths.add(path ?? "");
    }
  }
  if (route.references.includes("query")) {
    for (const [, path] of outgoing.query.matchAll(ENCODED_REFERENCE)) paths.add(plain(path ?? ""));
  }
  if (route.references.includes("body") && outgoing.body !== null) {
    for (const [, path] of bodyText(outgoing.body).matchAll(bodyPattern(outgoing.headers)))
      paths.add(plain(path ?? ""));
  }
  if (paths.size > MAX_REFERENCES) {
    throw new Problem("VALIDATION_ERROR", `A request may refer to at most ${MAX_REFERENCES} secrets.`);
  }
  for (const path of paths) {
    if (!secretPathSchema.safeParse(path).success) {
      throw new Problem("VALIDATION_ERROR", "A vault:// reference is not a secret's path.", {
        why: "Write it as vault://namespace/KEY.",
      });
    }
    if (!allows(grant.scopes, "secrets", "use", path)) {
      throw new Problem("SCOPE_DENIED", `This token may not use the secret "${path}".`, {
        why: `Ask for a token with the scope "secrets:use:${path}".`,
      });
    }
  }
  return paths;
}

/**
 * Puts the opened secrets where their references stand, escaped for the place. How large that becomes is known before
 * any of it is built: a short reference stands for up to 64 KiB, thousands of times. Throws BODY_TOO_LARGE, and
 * SECRET_UNUSABLE where a secret cannot stand where it is wanted.
 */
export function substitute(
  outgoing: Outgoing,
  route: Route,
  secrets: OpenSecrets,
  maxBodyBytes: number = MAX_BODY_BYTES,
): void {
  if (route.references.includes("headers")) fillHeaders(outgoing.headers, filling(secrets, headerValue));
  if (route.references.includes("query")) {
    const fill = filling(secrets, encodeURIComponent);
    if (sizeOf(outgoing.query, ENCODED_REFERENCE, fill) > MAX_LINE_CHARACTERS) throw tooLong("a query");
    outgoing.query = filled(outgoing.query, ENCODED_REFERENCE, fill);
  }
  if (route.references.includes("body") && outgoing.body !== null) {
    const text = bodyText(outgoing.body);
    const pattern = bodyPattern(outgoing.headers);
    const fill = filling(secrets, bodyEscape(outgoing.headers));
    if (sizeOf(text, pattern, fill) > maxBodyBytes) {
      throw new Problem(
        "BODY_TOO_LARGE",
        `With its references filled in, the body has more than ${maxBodyBytes} bytes.`,
      );
    }
    outgoing.body = Buffer.from(filled(text, pattern, fill), "latin1");
  }
}

/** What stands for a reference's path. */
type Fill = (path: string) => string;

/** Opens and escapes each secret once, however often it is referred to. */
function filling(secrets: OpenSecrets, escape: (text: string) => string): Fill {
  const known = new Map<string, string>();
  return (written) => {
    const path = plain(written);
    const value = known.get(path) ?? escape(secretText(secrets, path));
    known.set(path, value);
    return value;
  };
}

function sizeOf(text: string, pattern: RegExp, fill: Fill): number {
  let size = text.length;
  for (const [reference, path = ""] of text.matchAll(pattern)) size += fill(path).length - reference.length;
  return size;
}

function filled(text: string, pattern: RegExp, fill: Fill): string {
  return text.replace(pattern, (_reference, path: string) => fill(path));
}

function fillHeaders(headers: Headers, fill: Fill): void {
  const fields = [...headers].filter(([, text]) => text.includes("vault://"));
  const size = fields.reduce((sum, [, text]) => sum + sizeOf(text, REFERENCE, fill), 0);
  if (size > MAX_LINE_CHARACTERS) throw tooLong("headers");
  for (const [name, text] of fields) headers.set(name, filled(text, REFERENCE, fill));
}

function tooLong(place: string): Problem {
  return new Problem("SECRET_UNUSABLE", `The referenced secrets are too long to stand in ${place}.`, {
    why: `What they make of it may have at most ${MAX_LINE_CHARACTERS} characters.`,
  });
}

function plain(path: string): string {
  return path.replace(/%2f/gi, "/");
}

/** One character per byte, so that what is not a reference stays byte for byte. */
function bodyText(body: Uint8Array): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("latin1");
}

/** Media types are the same in capitals (RFC 9110 §8.3.1). */
function contentType(headers: Headers): string {
  return headers.get("content-type")?.trim().toLowerCase() ?? "";
}

function isForm(headers: Headers): boolean {
  return contentType(headers).startsWith("application/x-www-form-urlencoded");
}

function bodyPattern(headers: Headers): RegExp {
  return isForm(headers) ? ENCODED_REFERENCE : REFERENCE;
}

function bodyEscape(headers: Headers): (text: string) => string {
  const bytes = (text: string): string => Buffer.from(text, "utf8").toString("latin1");
  if (isForm(headers)) return (text) => encodeURIComponent(text);
  if (contentType(headers).includes("json")) return (text) => bytes(JSON.stringify(text).slice(1, -1));
  return bytes;
}

function headerValue(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  throw new Problem("SECRET_UNUSABLE", "A referenced secret cannot stand in a header.", {
    why: "Headers take printable ASCII only.",
  });
}
