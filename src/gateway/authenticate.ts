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
}

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
  const found: Presented[] = [];
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
  // A token in the URL counts as being there even if a header repeats it.
  return found.find(({ place }) => place.in !== "header") ?? first;
}

function fromAuthorization(value: string): Presented | null {
  const space = value.indexOf(" ");
  const scheme = space < 0 ? "" : value.slice(0, space).toLowerCase();
  const rest = value.slice(space + 1).trim();
  const name = "authorization";
  if (scheme === "bearer") return { token: rest, place: { in: "header", name, scheme: "Bearer" } };
  if (scheme === "token" || scheme === "bot")
    return { token: rest, place: { in: "header", name, scheme: "token" } };
  if (scheme === "basic") {
    const [user = "", password = ""] = Buffer.from(rest, "base64").toString("utf8").split(":");
    const token = [user, password].find((part) => part.startsWith("vkt_"));
    return token === undefined ? null : { token, place: { in: "header", name, scheme: "Basic" } };
  }
  return value.startsWith("vkt_") ? { token: value, place: { in: "header", name } } : null;
}

/** A token in a URL is logged by everything on its way: accepted only where the provider's SDKs put it (attack 50). */
export function checkPlace(place: TokenPlace, tokenIn: readonly TokenPlace[]): void {
  if (place.in === "header") return;
  const declared = tokenIn.some(
    (known) =>
      (known.in === "query" && place.in === "query" && known.name === place.name) ||
      (known.in === "path" && place.in === "path" && known.prefix === place.prefix),
  );
  if (declared) return;
  throw new Problem("UNAUTHORIZED", "The token is in the URL, where this provider does not take one.", {
    why: "Send it in a header, and ask for a new one: this one may be in logs by now.",
  });
}
