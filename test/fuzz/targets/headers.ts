import assert from "node:assert/strict";
import { type HeaderFields, requestHeaders, responseHeaders } from "../../../src/gateway/headers.ts";
import { rewriter } from "../../../src/gateway/hosts.ts";
import { valueOf } from "../input.ts";
import { routeOf } from "../route.ts";
import { DESTINATIONS } from "./hosts.ts";

const ROUTE = routeOf();

/** RFC 9110, 7.6.1, and its kin. */
const HOP = [
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "expect",
  "http2-settings",
];
const CREDENTIALS = [
  "authorization",
  "cookie",
  "proxy-authorization",
  "x-api-key",
  "x-upstream-key",
  "x-valetkey-token",
];
const WAY_HERE = [
  "host",
  "forwarded",
  "x-forwarded-for",
  "x-real-ip",
  "true-client-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "fastly-client-ip",
  "proxy",
  "cf-connecting-ip",
  "cdn-loop",
  "content-length",
];
/** What an upstream may not say. */
const NEVER_BACK = [
  "set-cookie",
  "connection",
  "transfer-encoding",
  "upgrade",
  "alt-svc",
  "clear-site-data",
  "x-valetkey-error",
];
/** Names that tests try beside random ones: what must go, in several spellings, and what must stay. */
export const NAMES = [
  ...[...HOP, ...CREDENTIALS, ...WAY_HERE].flatMap((name) => [
    name,
    name.replaceAll("-", "_"),
    name.replaceAll("-", "."),
  ]),
  ...[
    "connection",
    "upgrade",
    "accept",
    "content-type",
    "x-custom",
    "x_custom",
    "via",
    "range",
    "sec-websocket-key",
    "location",
    "link",
    "refresh",
    ...NEVER_BACK,
  ],
];
const GONE = new Set([...HOP, ...CREDENTIALS, ...WAY_HERE, "connection", "range", "proxy-authenticate"]);
const ours = new Set(["upgrade", "accept-encoding", "via"]);

const fold = (name: string): string => name.replaceAll(/[^a-z0-9]/g, "-");
const named = (fields: HeaderFields): string[] =>
  fields
    .filter(([name]) => name === "connection")
    .flatMap(([, value]) => value.split(",").map((part) => part.trim().toLowerCase()));

/** Fields as the platform hands them out: names in lower case, each once. Null where one is not of printable ASCII. */
export function fieldsOf(pairs: HeaderFields): HeaderFields | null {
  const headers = new Headers();
  if (pairs.some(([, value]) => /[^\t\x20-\x7e]/.test(value))) return null;
  try {
    for (const [name, value] of pairs) headers.append(name, value);
  } catch {
    return null;
  }
  return [...headers];
}

/**
 * Nothing about the hop, no credential of the client's and nothing that `Connection` names goes on, in any spelling
 * that a server could fold to it; whatever else the client sent does.
 */
export function checkRequest(pairs: HeaderFields, websocket: boolean): void {
  const fields = fieldsOf(pairs);
  if (fields === null) return;
  const outgoing = valueOf(() => requestHeaders(fields, ROUTE, websocket));
  if (outgoing === undefined) return;
  const dropped = new Set(named(fields));
  for (const [name, value] of outgoing) {
    if (ours.has(name)) continue;
    assert.ok(!GONE.has(fold(name)), `${name} goes on`);
    assert.ok(!/^(?:cf|mf|x-forwarded|x-valetkey)-/.test(fold(name)), `${name} goes on`);
    assert.ok(websocket || !name.startsWith("sec-websocket-"));
    assert.ok(!dropped.has(name), `${name} goes on though Connection names it`);
    assert.doesNotMatch(value, /vk[tambeso]_/);
  }
  assert.equal(outgoing.get("via"), "1.1 valetkey");
  assert.equal(outgoing.get("upgrade"), websocket ? "websocket" : null);
  for (const [name, value] of fields) {
    if (
      ["accept", "content-type", "x-custom"].includes(name) &&
      !dropped.has(name) &&
      !/vk[tambeso]_/.test(value)
    )
      assert.equal(outgoing.get(name)?.trim(), value.trim());
  }
}

const SECRET_MARK = "sk_live_51NaBcDeFgHiJk";
const hide = (text: string): string => text.replaceAll(SECRET_MARK, "*".repeat(SECRET_MARK.length));
/** Whatever headers an upstream answers with: none speaks about the gateway's origin or the hop, none is cached. */
export function checkResponse(pairs: HeaderFields): void {
  const fields = fieldsOf(pairs);
  if (fields === null) return;
  for (const destination of DESTINATIONS) {
    const answer = responseHeaders(fields, hide, rewriter(destination, "https://gateway.dev/proxy/up"));
    for (const name of NEVER_BACK) assert.equal(answer.get(name), null);
    for (const name of named(fields)) {
      if (
        !["cache-control", "x-content-type-options", "content-security-policy", ""].includes(name) &&
        /^[\w-]+$/.test(name)
      )
        assert.equal(answer.get(name), null);
    }
    assert.equal(answer.get("cache-control"), "no-store");
    for (const [name, value] of answer) assert.ok(!(name + value).includes(SECRET_MARK));
  }
}

/** Lines of `name: value`, the name by its number in `NAMES` where it begins with a byte above ASCII. */
function pairsOf(data: Buffer): [string, string][] {
  return data
    .toString("latin1")
    .split("\n")
    .slice(0, 20)
    .map((line) => {
      const code = line.charCodeAt(0);
      if (code >= 0x80) return [NAMES[(code - 0x80) % NAMES.length] ?? "", line.slice(1)];
      const colon = line.indexOf(":");
      return [line.slice(0, colon < 0 ? undefined : colon), colon < 0 ? "" : line.slice(colon + 1)];
    });
}

export function fuzz(data: Buffer): void {
  const pairs = pairsOf(data.subarray(1));
  checkRequest(pairs, (data[0] ?? 0) % 2 === 1);
  checkResponse(pairs);
}
