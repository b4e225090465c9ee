import type { TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import { allows } from "../base/scope.ts";
import type { Connection } from "../connections/connection.ts";
import { inDomain } from "../connections/destination.ts";
import type { Grant } from "../tokens/grant.ts";
import { findToken, type Presented } from "./authenticate.ts";
import { type AgentCall, callOf, type ClientAddress } from "./call.ts";
import type { Gateway } from "./gateway.ts";
import type { Addressed } from "./hosts.ts";
import { checkHeaders, checkUrl } from "./limits.ts";
import { compileRoute } from "./route.ts";
import { parseTarget, type Target } from "./target.ts";

/** A call as somebody describes it who wants to know what would become of it. */
export interface Described {
  readonly method: string;
  /** The gateway's (whole, or from `/proxy/` on), or the provider's. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/** The tenant's connections, page by page. */
export interface ConnectionList {
  list(
    tenantId: TenantId,
    page: { limit: number; cursor?: string },
  ): Promise<{ readonly connections: readonly Connection[]; readonly nextCursor: string | null }>;
}

/** Which connection a described URL means. */
export interface Meant {
  readonly target: Target;
  readonly addressed: Addressed;
  /** More connections that lead to a provider's URL. */
  readonly others: readonly string[];
}

/**
 * Reads a described URL as the gateway's door reads a request's. A provider's own URL means the connection that leads
 * there, of those that the token may call: of others nothing is said, whether they exist or not. Throws as the door
 * does, and DESTINATION_DENIED where no connection leads there.
 */
export async function readUrl(
  url: string,
  grant: Grant,
  gateway: Gateway,
  connections: ConnectionList,
): Promise<Meant> {
  const rawUrl = url.startsWith("/") ? gateway.origin + url : url;
  checkUrl(rawUrl);
  const target = parseTarget(rawUrl);
  if (isOwnHost(target.host, gateway)) {
    const read = gateway.hosts.read(rawUrl);
    if (read !== null) return { ...read, others: [] };
    throw new Problem("NOT_FOUND", "This URL is the gateway's own, and no connection's.", {
      why: "Calls go to `/proxy/{connection}/…`.",
    });
  }
  const [found, ...others] = await leadingTo(target, grant, gateway, connections);
  if (found === undefined) {
    throw new Problem("DESTINATION_DENIED", "No connection that this token may call leads there.", {
      why: "Ask for a token whose scopes cover the connection, or an editor for a connection to this host.",
    });
  }
  const path = target.path.slice(found.basePath.length) || "/";
  const prefix = `${gateway.origin}/proxy/${found.slug}`;
  return { target, addressed: { slug: found.slug, path, prefix }, others: others.map(({ slug }) => slug) };
}

function isOwnHost(host: string, { rules }: Gateway): boolean {
  return rules.ownHosts.some((own) => own === host || (!own.includes(":") && inDomain(host, own)));
}

/** The longest base path first. */
async function leadingTo(target: Target, grant: Grant, gateway: Gateway, connections: ConnectionList) {
  const host = target.host.replace(target.scheme === "https" ? /:443$/ : /:80$/, "");
  const found: { readonly slug: string; readonly basePath: string }[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<ConnectionList["list"]>> = await connections.list(grant.tenantId, {
      limit: 200,
      ...(cursor === null ? {} : { cursor }),
    });
    for (const connection of page.connections) {
      if (!allows(grant.scopes, "connections", "call", connection.slug)) continue;
      const destination = destinationOf(connection, gateway);
      if (destination?.authority !== host || destination.scheme !== target.scheme) continue;
      const { basePath } = destination;
      const isBelow = target.path === basePath || target.path.startsWith(`${basePath}/`);
      if (isBelow) found.push({ slug: connection.slug, basePath });
    }
    cursor = page.nextCursor;
  } while (cursor !== null);
  return found.toSorted((a, b) => b.basePath.length - a.basePath.length || (a.slug < b.slug ? -1 : 1));
}

function destinationOf(connection: Connection, gateway: Gateway) {
  try {
    return compileRoute(connection, gateway.rules).destination;
  } catch (error) {
    // One that no call would get through either.
    if (error instanceof Problem) return null;
    throw error;
  }
}

/** Whether it is said what a call carries: one that can have no body carries none. */
export function isBodyTold({ method, body }: Described): boolean {
  return body !== null || method === "GET" || method === "HEAD";
}

/** Where the token stands if nothing else is said: where every connection takes it. */
const OWN = { in: "header", name: "x-valetkey-token" } as const;
const IN_HEADER: Presented = { token: "", place: OWN, places: [OWN] };

/** The described call, read as if it had come. `token` where it is known, since a URL may have it in it. */
export function describedCall(parts: {
  readonly described: Described;
  readonly meant: Meant;
  readonly grant: Grant;
  readonly token: string | null;
  readonly client: ClientAddress;
  readonly requestId: string;
}): AgentCall {
  const { described, meant, grant, token, client, requestId } = parts;
  const { addressed, target } = meant;
  const request = requestOf(described, addressed, target);
  const fields = [...request.headers];
  checkHeaders(fields);
  const withToken = [...fields, [OWN.name, token ?? ""] as const];
  const presented = token === null ? IN_HEADER : findToken(withToken, target);
  const isBodyKnown = isBodyTold(described);
  return callOf({ request, fields, requestId, client, grant, presented, addressed, target, isBodyKnown });
}

function requestOf(
  { method, headers, body }: Described,
  { prefix, path }: Addressed,
  target: Target,
): Request {
  const bytes = body === null ? null : Buffer.from(body, "utf8");
  try {
    const own = new Headers(headers);
    own.delete("authorization");
    if (bytes !== null && !own.has("content-length")) own.set("content-length", String(bytes.byteLength));
    const query = target.query === "" ? "" : `?${target.query}`;
    return new Request(prefix + path + query, { method, headers: own, body: bytes });
  } catch (cause) {
    throw new Problem("VALIDATION_ERROR", "There can be no such request.", {
      why: "Look at `method` and `headers`; a GET or HEAD has no body.",
      cause,
    });
  }
}
