import { Problem } from "../base/problem.ts";
import type { TokenPlace } from "../connections/provider.ts";
import { providers } from "../connections/providers.ts";
import { TOKEN_PATTERN } from "../tokens/token.ts";
import type { HeaderFields } from "./headers.ts";
import type { Target } from "./target.ts";

/** The agent's token and where it stood: whether it may stand there is the provider's to say, once that is known. */
export interface Presented {
  readonly token: string;
  readonly place: TokenPlace;
  /** All places where it stood. */
  readonly places: readonly TokenPlace[];
  /** By `Authorization: DPoP` (RFC 9449). */
  readonly dpop?: true;
}

type Found = Omit<Presented, "places">;

/** One answer for whatever is wrong with a token: malformed, unknown, revoked and expired look the same (attack 57). */
export function unauthorized(): Problem {
  return new Problem("UNAUTHORIZED", "There is no valid scoped token on this request.", {
    headers: { "www-authenticate": 'Bearer realm="valetkey"' },
    why: "Send a token from POST /v1/tokens where the provider's SDK puts its key, or in X-Valetkey-Token.",
  });
}

/** Headers in which the catalogue's SDKs put keys; `authorization` is looked at on its own. */
const KEY_HEADERS = new Set(["x-api-key"]);
for (const { tokenIn } of providers.values()) {
  for (const place of tokenIn) {
    if (place.in === "header" && place.name !== "authorization") KEY_HEADERS.add(place.name.toLowerCase());
  }
}

/**
 * Finds the scoped token: in `X-Valetkey-Token`, in any of the places where SDKs put their key, or (to be checked
 * against the provider later) in the query or the path. Two different tokens are ambiguous and refused.
 */
export function findToken(fields: HeaderFields, target: Target): Presented {
  const found: Found[] = [];
  for (const [name, value] of fields) {
    if (name === "authorization") {
      const presented = fromAuthorization(value);
      if (presented !== null) found.push(presented);
    } else if (name === "x-valetkey-token" || (value.startsWith("vkt_") && KEY_HEADERS.has(name))) {
      found.push({ token: value, place: { in: "header", name } });
    }
  }
  if (target.query.includes("vkt_")) {
    for (const pair of target.query.split("&")) {
      const [name = "", value = ""] = pair.split("=");
      if (value.startsWith("vkt_")) found.push({ token: value, place: { in: "query", name } });
    }
  }
  const inPath = target.path.includes("vkt_") ? TOKEN_PATTERN.exec(target.path) : null;
  if (inPath !== null) {
    const start = target.path.lastIndexOf("/", inPath.index);
    found.push({ token: inPath[0], place: { in: "path", prefix: target.path.slice(start, inPath.index) } });
  }
  const [first, ...others] = found;
  if (first === undefined || others.some(({ token }) => token !== first.token)) throw unauthorized();
  // A token in the URL counts as being there even if a header repeats it; then what asks for a proof.
  const counts = found.find(({ place }) => place.in !== "header") ?? found.find(({ dpop }) => dpop) ?? first;
  return { ...counts, places: found.map(({ place }) => place) };
}

function fromAuthorization(value: string): Found | null {
  const space = value.indexOf(" ");
  const scheme = space < 0 ? "" : value.slice(0, space).toLowerCase();
  const rest = value.slice(space + 1).trim();
  const name = "authorization";
  if (scheme === "bearer") return { token: rest, place: { in: "header", name, scheme: "Bearer" } };
  if (scheme === "dpop") return { token: rest, place: { in: "header", name }, dpop: true };
  if (scheme === "token") return { token: rest, place: { in: "header", name, scheme: "token" } };
  if (scheme === "bot") return { token: rest, place: { in: "header", name, scheme: "Bot" } };
  if (scheme === "basic") {
    const [user = "", password = ""] = Buffer.from(rest, "base64").toString("utf8").split(":");
    const token = [user, password].find((part) => part.startsWith("vkt_"));
    return token === undefined ? null : { token, place: { in: "header", name, scheme: "Basic" } };
  }
  return value.startsWith("vkt_") ? { token: value, place: { in: "header", name } } : null;
}

/**
 * A token stands where the provider's SDKs put their key, in that scheme (attack 51), or in the gateway's own header:
 * anything else was meant for somebody else. In a URL it is logged by everything on its way: there only where the
 * provider declares it, whatever the headers say (attack 50). `DPoP` is the proof's to check. Throws UNAUTHORIZED.
 */
export function checkPlace(
  { place, places, dpop }: Pick<Presented, "place" | "places" | "dpop">,
  tokenIn: readonly TokenPlace[],
): void {
  if (place.in !== "header") {
    if (tokenIn.some((known) => isSame(known, place))) return;
    throw new Problem("UNAUTHORIZED", "The token is in the URL, where this provider does not take one.", {
      why: "Send it in a header, and ask for a new one: this one may be in logs by now.",
    });
  }
  if (dpop || places.some((one) => isOwn(one) || tokenIn.some((known) => isSame(known, one)))) return;
  throw new Problem("UNAUTHORIZED", "The token is where this provider does not take one.", {
    why: "Send it where the provider's SDK puts its key, in that scheme, or in X-Valetkey-Token.",
  });
}

function isOwn(place: TokenPlace): boolean {
  return place.in === "header" && place.name === "x-valetkey-token";
}

function isSame(known: TokenPlace, place: TokenPlace): boolean {
  if (known.in === "header") {
    return place.in === "header" && known.name === place.name && known.scheme === place.scheme;
  }
  if (known.in === "query") return place.in === "query" && known.name === place.name;
  return place.in === "path" && known.prefix === place.prefix;
}
