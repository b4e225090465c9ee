import assert from "node:assert/strict";
import { Redacted } from "../../../src/base/redacted.ts";
import { secretPathSchema } from "../../../src/base/secret-path.ts";
import type { Outgoing } from "../../../src/credentials/kind.ts";
import { findReferences, substitute } from "../../../src/gateway/references.ts";
import type { Grant } from "../../../src/tokens/grant.ts";
import { textsOf, valueOf } from "../input.ts";
import { routeOf } from "../route.ts";

const ROUTE = routeOf();
const GRANT = { scopes: ["secrets:use:mine/*"] } as unknown as Grant;
/** Holds what ends a string, a pair, a header or an element, and looks like a reference itself. */
export const HOSTILE = "a\"b\\c&d=e%2f+f</g>'vault://mine/OTHER";
const HOSTILE_BYTES = Buffer.from(`${HOSTILE}\u00e9\n`, "utf8");

/** The least that a reference is: any path after `vault://`, of two segments or more. */
const PLAIN = /vault:\/\/\w[\w.-]*(?:\/\w[\w.-]*)+/;

function outgoingOf(header: string, query: string, body: Buffer, type: string): Outgoing | null {
  if (/[^\x20-\x7e]/.test(header)) return null;
  const headers = new Headers({ "content-type": type, "x-template": header });
  return { method: "POST", path: "/x", query, headers, body };
}

const secretsOf = (paths: ReadonlySet<string>, value: string | Uint8Array): Record<string, Redacted> =>
  Object.fromEntries([...paths].map((path) => [path, new Redacted(value)]));

/** Only valid paths that the token may use are opened, and every reference that stands there is one of them. */
export function checkFound(header: string, query: string, body: string, type: string): ReadonlySet<string> {
  const outgoing = outgoingOf(header, query, Buffer.from(body, "latin1"), type);
  if (outgoing === null) return new Set();
  const paths = valueOf(() => findReferences(outgoing, ROUTE, GRANT));
  if (paths === undefined) return new Set();
  for (const path of paths) {
    assert.ok(secretPathSchema.safeParse(path).success);
    assert.match(path, /^mine\//);
  }
  if (PLAIN.test(outgoing.headers.get("x-template") ?? "")) assert.ok(paths.size > 0);
  if (PLAIN.test(body)) assert.ok(paths.size > 0);
  return paths;
}

/** Without a reference nothing changes, byte for byte; with one, no reference to what was opened is left over. */
export function checkFilled(header: string, query: string, body: string, type: string): void {
  const paths = checkFound(header, query, body, type);
  const outgoing = outgoingOf(header, query, Buffer.from(body, "latin1"), type);
  if (outgoing === null) return;
  const before = outgoing.headers.get("x-template");
  const done = valueOf(() => {
    substitute(outgoing, ROUTE, secretsOf(paths, "replaced"));
    return true;
  });
  if (done === undefined) return;
  const after = Buffer.from(outgoing.body ?? []).toString("latin1");
  if (paths.size === 0) {
    assert.equal(outgoing.headers.get("x-template"), before);
    assert.equal(outgoing.query, query);
    assert.equal(after, body);
  }
  assert.doesNotMatch(outgoing.headers.get("x-template") ?? "", PLAIN);
  assert.doesNotMatch(after, PLAIN);
}

/** A secret put into a JSON document stays within the string that it was put into, whatever it holds. */
export function checkJson(document: unknown, type: string): void {
  const text = JSON.stringify(document);
  const outgoing = outgoingOf("", "", Buffer.from(text, "utf8"), type);
  if (outgoing === null || /vault:/.test(text.replaceAll("vault://mine/KEY ", ""))) return;
  substitute(outgoing, ROUTE, { "mine/KEY": new Redacted(HOSTILE_BYTES) });
  const filled: unknown = JSON.parse(Buffer.from(outgoing.body ?? []).toString("utf8"));
  const value = JSON.stringify(HOSTILE_BYTES.toString("utf8")).slice(1, -1);
  assert.deepEqual(filled, JSON.parse(text.replaceAll("vault://mine/KEY", () => value)));
}

/** A secret put into a form or a query stays within the pair that it was put into. */
export function checkForm(pairs: readonly (readonly [string, string])[], type: string): void {
  const fill = (text: string): string =>
    text.replaceAll("vault://mine/KEY", () => HOSTILE_BYTES.toString("utf8"));
  if (/vault/i.test(JSON.stringify(pairs).replaceAll("vault://mine/KEY ", ""))) return;
  const text = new URLSearchParams(pairs.map(([name, value]) => [name, value])).toString();
  const expected = pairs.map(([name, value]) => [fill(name), fill(value)]);
  const outgoing = outgoingOf("", text, Buffer.from(text), type);
  if (outgoing === null) return;
  substitute(outgoing, ROUTE, { "mine/KEY": new Redacted(HOSTILE_BYTES) });
  assert.deepEqual([...new URLSearchParams(Buffer.from(outgoing.body ?? []).toString())], expected);
  assert.deepEqual([...new URLSearchParams(outgoing.query)], expected);
}

const TYPES = [
  "text/plain",
  "application/json",
  "Application/JSON; charset=utf-8",
  "application/x-www-form-urlencoded",
  "APPLICATION/X-WWW-FORM-URLENCODED",
];

export function fuzz(data: Buffer): void {
  const [header = "", query = "", body = ""] = textsOf(data.subarray(1), 3);
  const type = TYPES[(data[0] ?? 0) % TYPES.length] ?? "";
  checkFilled(header, query, body, type);
  const place = "vault://mine/KEY ";
  checkJson({ [`${header}${place}`]: [place + query, body] }, TYPES[1 + ((data[0] ?? 0) % 2)] ?? "");
  checkForm(
    [
      [header, place + query],
      [place, body],
    ],
    TYPES[3 + ((data[0] ?? 0) % 2)] ?? "",
  );
}
