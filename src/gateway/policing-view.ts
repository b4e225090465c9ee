import type { BodyView, Parameters, RequestView } from "../policies/request-view.ts";
import type { PolicyReads } from "../policies/verdict.ts";
import type { Draft } from "./inject.ts";
import type { Route } from "./route.ts";
import { foldName } from "./fold-name.ts";
import { readStrictBody } from "./strict-body.ts";
import { readStrictQuery } from "./strict-parameters.ts";
import { checkPlaces } from "./strict-places.ts";
import { ambiguous } from "./strict-refusal.ts";

/** Set by the gateway, the same for every call. */
const GATEWAY_HEADERS = new Set(["via", "accept-encoding"]);

/** What is seen of a body that nobody has described (`explain.ts`). */
const UNDESCRIBED: BodyView = { kind: "unreadable", why: "was not described" };

/**
 * What policies, permissions and people see of a call: what `draft` will send, read as every parser reads it. What they
 * look into is read at once, the rest when it is asked for. `reads`: what they look into. Throws BODY_AMBIGUOUS.
 */
export function viewOf(
  draft: Draft,
  route: Route,
  reads: PolicyReads,
  isDescribed: boolean = true,
): RequestView {
  const { outgoing, stream, length } = draft;
  const { body, query } = outgoing;
  const seen = reads.body ? bodyOf(draft, isDescribed) : body === null && stream === null ? NONE : UNREAD;
  let parameters = reads.query ? readStrictQuery(query) : null;
  if (query !== "" && (seen.kind === "json" || seen.kind === "form")) {
    parameters ??= readStrictQuery(query);
    checkPlaces(parameters, seen);
  }
  let headers: RequestView["headers"] | null = null;
  return {
    method: outgoing.method,
    path: outgoing.path,
    host: route.destination.authority,
    get query(): Parameters {
      parameters ??= readStrictQuery(query);
      return parameters;
    },
    get headers() {
      headers ??= headersOf(outgoing.headers);
      return headers;
    },
    size: body?.byteLength ?? (stream === null ? 0 : length),
    body: seen,
  };
}

const NONE: BodyView = { kind: "none" };
const UNREAD: BodyView = { kind: "unread" };

function bodyOf({ outgoing, stream }: Draft, isDescribed: boolean): BodyView {
  if (!isDescribed) return UNDESCRIBED;
  if (outgoing.body !== null) return readStrictBody(outgoing.body, outgoing.headers);
  return stream === null ? NONE : UNREAD;
}

/** Throws BODY_AMBIGUOUS for two that servers with variables for headers (CGI, WSGI) take for one. */
function headersOf(outgoing: Headers): RequestView["headers"] {
  const headers = Object.create(null) as Record<string, string>;
  const folded = new Set<string>();
  for (const [name, value] of outgoing) {
    if (GATEWAY_HEADERS.has(name)) continue;
    if (folded.has(foldName(name)))
      ambiguous("head", "has two headers whose names can be taken for one another");
    folded.add(foldName(name));
    headers[name] = value;
  }
  return headers;
}
