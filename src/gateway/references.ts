import { allows } from "../base/scope.ts";
import { secretPathSchema } from "../base/secret-path.ts";
import { Problem } from "../base/problem.ts";
import type { OpenSecrets, Outgoing } from "../credentials/kind.ts";
import type { Grant } from "../tokens/grant.ts";
import type { Route } from "./route.ts";

const REFERENCE = /vault:\/\/([A-Za-z0-9_][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*)+)/g;
const ENCODED_REFERENCE =
  /vault(?::|%3A)(?:\/|%2F){2}([A-Za-z0-9_][A-Za-z0-9._-]*(?:(?:\/|%2F)[A-Za-z0-9_][A-Za-z0-9._-]*)+)/gi;

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
    for (const [, path] of outgoing.query.matchAll(ENCODED_REFERENCE)) paths.add(plain(path));
  }
  if (route.references.includes("body") && outgoing.body !== null) {
    for (const [, path] of bodyText(outgoing.body).matchAll(bodyPattern(outgoing.headers)))
      paths.add(plain(path));
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

/** Puts the opened secrets where their references stand, escaped for the place. */
export function substitute(outgoing: Outgoing, route: Route, secrets: OpenSecrets): void {
  const value = (path: string): string => secrets[path]?.reveal() ?? "";
  if (route.references.includes("headers")) {
    for (const [name, text] of [...outgoing.headers]) {
      if (!text.includes("vault://")) continue;
      const replaced = text.replace(REFERENCE, (_all, path: string) => headerValue(value(path)));
      outgoing.headers.set(name, replaced);
    }
  }
  if (route.references.includes("query")) {
    outgoing.query = outgoing.query.replace(ENCODED_REFERENCE, (_all, path: string) =>
      encodeURIComponent(value(plain(path))),
    );
  }
  if (route.references.includes("body") && outgoing.body !== null) {
    const escape = bodyEscape(outgoing.headers);
    const text = bodyText(outgoing.body).replace(bodyPattern(outgoing.headers), (_all, path: string) =>
      escape(value(plain(path))),
    );
    outgoing.body = Buffer.from(text, "latin1");
  }
}

function plain(path: string | undefined): string {
  return (path ?? "").replace(/%2f/gi, "/");
}

/** One character per byte, so that what is not a reference stays byte for byte. */
function bodyText(body: Uint8Array): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("latin1");
}

function isForm(headers: Headers): boolean {
  return headers.get("content-type")?.startsWith("application/x-www-form-urlencoded") ?? false;
}

function bodyPattern(headers: Headers): RegExp {
  return isForm(headers) ? ENCODED_REFERENCE : REFERENCE;
}

function bodyEscape(headers: Headers): (text: string) => string {
  const bytes = (text: string): string => Buffer.from(text, "utf8").toString("latin1");
  if (isForm(headers)) return (text) => encodeURIComponent(text);
  if (headers.get("content-type")?.includes("json"))
    return (text) => bytes(JSON.stringify(text).slice(1, -1));
  return bytes;
}

function headerValue(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  throw new Problem("SECRET_UNUSABLE", "A referenced secret cannot stand in a header.", {
    why: "Headers take printable ASCII only.",
  });
}
