import { Problem } from "../base/problem.ts";
import { foldName } from "./fold-name.ts";
import type { Route } from "./route.ts";

/** RFC 9110 §7.6.1 and what is used like them. */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "expect",
  "http2-settings",
]);

/** Client credentials of whatever kind, and headers that speak about this hop rather than about the call. */
const NEVER_SENT = new Set([
  "host",
  "content-length",
  "accept-encoding",
  "authorization",
  // It proves the client's key to the gateway, and belongs to the token.
  "dpop",
  "cookie",
  "forwarded",
  "x-real-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "fastly-client-ip",
  "true-client-ip",
  // CGI makes HTTP_PROXY of it, by which many programs find the proxy for their own calls.
  "proxy",
  "via",
  "cdn-loop",
  "x-request-start",
  "x-original-url",
  "x-rewrite-url",
  "x-original-host",
  "x-http-host-override",
  // A charset that spreads characters over several bytes would hide the credential (`respond.ts` refuses it).
  "accept-charset",
  // A range would let an upstream's echo be read byte by byte, under what redaction can find (attack 42).
  "range",
  "if-range",
]);
const NEVER_SENT_PREFIXES = ["cf-", "x-forwarded-", "x-valetkey-", "mf-", "sec-websocket-"];
const METHOD_OVERRIDES = ["x-http-method-override", "x-http-method", "x-method-override"];

/** Tokens, keys, sessions, codes, whatever this gateway hands out: none is any upstream's business (attack 34). */
const OWN_CREDENTIAL = /vk[tambeso]_/;

/** `Via` of our own: a request that carries it has come through here already (attack 16, RFC 9110 §7.6.3). */
const VIA = "1.1 valetkey";

/** Throws LOOP_DETECTED for a request that this gateway itself sent. */
export function refuseLoop(headers: Headers): void {
  if (headers.get("via")?.toLowerCase().includes("valetkey")) {
    throw new Problem("LOOP_DETECTED", "This request came from the gateway itself.");
  }
}

/** Header names (lower case) and values, taken out of the platform's object once. */
export type HeaderFields = readonly (readonly [name: string, value: string])[];

function namedByConnection(fields: HeaderFields): Set<string> {
  const connection = fields.find(([name]) => name === "connection");
  if (connection === undefined) return EMPTY;
  return new Set(connection[1].split(",").map((name) => name.trim().toLowerCase()));
}
const EMPTY = new Set<string>();

/**
 * The end-to-end headers of a request. Gone are: hop-by-hop ones and what `Connection` names, every client credential,
 * everything about the way here. The credential is attached after this, so nothing a client sends can remove it
 * (attack 30). Throws HEADER_REFUSED for a method override (attack 28).
 */
export function requestHeaders(incoming: HeaderFields, route: Route, websocket: boolean): Headers {
  const named = namedByConnection(incoming);
  const outgoing = new Headers();
  for (const [name, value] of incoming) {
    const folded = foldName(name);
    if (HOP_BY_HOP.has(folded) || NEVER_SENT.has(folded) || named.has(name)) continue;
    if (route.strippedHeaders.has(folded)) continue;
    if (METHOD_OVERRIDES.includes(folded)) {
      throw new Problem(
        "HEADER_REFUSED",
        `The header ${name} would change the method after it was checked.`,
        {
          why: "Send the request with the method you mean.",
        },
      );
    }
    if (NEVER_SENT_PREFIXES.some((prefix) => folded.startsWith(prefix))) {
      if (!(websocket && name.startsWith("sec-websocket-"))) continue;
    }
    if (OWN_CREDENTIAL.test(value)) continue;
    outgoing.append(name, value);
  }
  for (const [name, value] of route.defaultHeaders) {
    if (!outgoing.has(name)) outgoing.set(name, value);
  }
  if (websocket) outgoing.set("upgrade", "websocket");
  outgoing.set("accept-encoding", "identity, gzip, br");
  outgoing.set("via", VIA);
  return outgoing;
}

/** What an upstream may not say about the gateway's own origin, or what belongs to the hop. */
const NEVER_RETURNED = new Set([
  "set-cookie",
  "set-cookie2",
  "content-encoding",
  "content-length",
  "strict-transport-security",
  "public-key-pins",
  "alt-svc",
  "clear-site-data",
  "nel",
  "report-to",
  "reporting-endpoints",
  "expect-ct",
  "service-worker-allowed",
  "cache-control",
  "expires",
  "age",
  "content-security-policy",
  "x-content-type-options",
  "x-valetkey-error",
  "x-valetkey-approval",
  "x-valetkey-preference-applied",
]);

/** Rewrites a URL that points at the connection's own host to the gateway; others stay as they came (attack 92). */
export type Rewrite = (url: string) => string;

/** A header's value among fields; null where it is not there. */
export function fieldOf(fields: HeaderFields, name: string): string | null {
  for (const [candidate, value] of fields) if (candidate === name) return value;
  return null;
}

/** The response's headers as the agent sees them, each one redacted (attacks 20, 22, 35, 36, 49, 92). */
export function responseHeaders(
  fields: HeaderFields,
  redact: (text: string) => string,
  rewrite: Rewrite,
): Headers {
  const named = namedByConnection(fields);
  const headers = new Headers();
  for (const [name, value] of fields) {
    if (HOP_BY_HOP.has(name) || NEVER_RETURNED.has(name) || named.has(name) || redact(name) !== name)
      continue;
    // Redacted before as well as after: rewriting respells a URL (`\` becomes `/`), and with it what to look for.
    headers.append(name, redact(rewriteUrls(name, redact(value), rewrite)));
  }
  headers.set("cache-control", "no-store");
  headers.set("x-content-type-options", "nosniff");
  // Provider content is shown by no browser as if it were a page of the gateway's own.
  headers.set("content-security-policy", "sandbox; default-src 'none'");
  return headers;
}

/** Headers whose value is a reference that a client resolves against the URL it called, which is the gateway's. */
const REFERENCES = new Set(["location", "content-location"]);

function rewriteUrls(name: string, value: string, rewrite: Rewrite): string {
  if (!value.includes("/")) return value;
  // Absolute, or a path from the root: below `/proxy/{connection}` that would be the gateway's own root.
  if (name === "link") {
    return value.replace(/<(?:(?:https?:)?\/)?\/[^<>]*>/gi, (link) => `<${rewrite(link.slice(1, -1))}>`);
  }
  if (name === "refresh") {
    return value.replace(
      /(url\s*=\s*["']?)((?:(?:https?:)?\/)?\/[^"'\s]*)/i,
      (_all, key: string, url: string) => key + rewrite(url),
    );
  }
  const pattern = REFERENCES.has(name) ? /^(?:(?:https?:)?\/)?\/\S*$/i : /^(?:https?:)?\/\/\S*$/i;
  return pattern.test(value) ? rewrite(value) : value;
}
