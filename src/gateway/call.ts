import { Problem } from "../base/problem.ts";
import type { RequestInfo } from "../base/request.ts";
import type { EventDraft } from "../tokens/charge.ts";
import type { Grant } from "../tokens/grant.ts";
import { TOKEN_PATTERN } from "../tokens/token.ts";
import type { Presented } from "./authenticate.ts";
import { CallBody } from "./call-body.ts";
import { fieldOf, type HeaderFields } from "./headers.ts";
import type { Addressed } from "./hosts.ts";
import type { Target } from "./target.ts";

/** One inbound call, read once: everything below decides on this and sends this. */
export interface AgentCall {
  readonly request: Request;
  /** The request's headers, read once. */
  readonly fields: HeaderFields;
  readonly body: CallBody;
  readonly info: RequestInfo;
  /** The caller's address, where it says who calls; null for one that anybody's Worker has. */
  readonly ip: string | null;
  readonly grant: Grant;
  readonly presented: Presented;
  readonly addressed: Addressed;
  readonly method: string;
  /** Canonical, below the connection's base URL, without the agent's token. */
  readonly path: string;
  /** Raw, without the agent's token. */
  readonly query: string;
}

/** Who calls, as far as the platform tells. */
export interface ClientAddress {
  readonly address: string | null;
  /** The address is one that anybody's Worker has: it proves nothing (attack 62). */
  readonly shared: boolean;
}

/** Puts together what was read of a call. Throws PATH_REFUSED as `withoutToken`. */
export function callOf(
  parts: Pick<AgentCall, "request" | "fields" | "grant" | "presented" | "addressed"> & {
    readonly requestId: string;
    readonly client: ClientAddress;
    readonly target: Target;
    /** False of a call that was only described, without saying what it carries. */
    readonly isBodyKnown?: boolean;
  },
): AgentCall {
  const { requestId, client, target, isBodyKnown, ...read } = parts;
  return {
    ...read,
    body: new CallBody(read.request, isBodyKnown),
    info: { requestId, ip: client.address, userAgent: fieldOf(read.fields, "user-agent") },
    ip: client.shared ? null : client.address,
    method: read.request.method,
    ...withoutToken(read.addressed, target, read.presented),
  };
}

/** The path and query of a call with the agent's token taken out, wherever a provider's SDK put it. */
export function withoutToken(addressed: Addressed, target: Target, presented: Presented) {
  const { token, place } = presented;
  let { path } = addressed;
  if (place.in === "path") {
    const segment = `${place.prefix}${token}`;
    const start = path.indexOf(segment);
    const after = path.slice(start + segment.length);
    if (start < 0 || (after !== "" && !after.startsWith("/"))) {
      throw new Problem("PATH_REFUSED", "The token in the path is not a segment's end.");
    }
    path = path.slice(0, start) + after || "/";
  }
  if (path.includes("vkt_") && TOKEN_PATTERN.test(path)) {
    throw new Problem("PATH_REFUSED", "There is one more token in the path.");
  }
  const query = target.query.includes("vkt_")
    ? target.query
        .split("&")
        .filter((pair) => !pair.includes("vkt_"))
        .join("&")
    : target.query;
  return { path, query };
}

const TOKENS = /vk[tambeso]_[0-9A-Za-z]{6,}/g;

const MAX_USER_AGENT = 512;

/** How the ledger will tell of this call. Never the query: keys stand in queries. */
export function callEvent(call: AgentCall, path: string, host: string | null): EventDraft {
  const { grant, info, method, addressed } = call;
  return {
    event_type: "connection.called",
    resource_type: "connection",
    resource: addressed.slug,
    actor: `agent:${grant.agentId}`,
    ip_address: info.ip,
    user_agent: info.userAgent?.slice(0, MAX_USER_AGENT).replace(TOKENS, "[token]") ?? null,
    outcome: "success",
    context: {
      ...grant.context,
      ...(grant.tool === null ? {} : { tool: grant.tool }),
      ...(grant.user === null ? {} : { user: grant.user }),
      token_id: grant.tokenId,
      ...(grant.ancestors[0] === undefined ? {} : { root_token_id: grant.ancestors[0].tokenId }),
      ...(grant.permission === null ? {} : { permission_id: grant.permission.permissionId }),
      request_id: info.requestId,
      method,
      path: path.slice(0, 512).replace(TOKENS, "[token]"),
      ...(host === null ? {} : { host }),
    },
  };
}
