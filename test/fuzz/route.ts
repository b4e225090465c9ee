import type { ConnectionId } from "../../src/base/ids.ts";
import type { Connection } from "../../src/connections/connection.ts";
import { DEFAULT_REDACT } from "../../src/connections/schemas.ts";
import { compileRoute, type Route } from "../../src/gateway/route.ts";

/** A connection of one's own as calls see it. */
export function routeOf(over: Partial<Connection> = {}): Route {
  const connection: Connection = {
    id: "con_000000000000000000000000" as ConnectionId,
    slug: "up",
    provider: null,
    baseUrl: "https://api.provider.com",
    credential: { kind: "header", name: "X-Upstream-Key" },
    secrets: { secret: "test/up/KEY" },
    allow: null,
    limits: {},
    references: ["headers", "query", "body"],
    websockets: true,
    redact: DEFAULT_REDACT,
    default: "allow",
    createdAt: 0,
    updatedAt: 0,
    ...over,
  };
  return compileRoute(connection, { privateAllowed: false, ownHosts: [] });
}
