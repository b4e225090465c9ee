import { Problem } from "../base/problem.ts";
import { checkDepth, tooLarge } from "../base/request.ts";
import { DEFAULT_LIMITS } from "../connections/limits.ts";
import { withoutParameter } from "../credentials/parameters.ts";
import type { OpenSecrets, Outgoing } from "../credentials/kind.ts";
import type { AgentCall } from "./call.ts";
import { fieldOf, requestHeaders } from "./headers.ts";
import { type BodyWatch, watchFor } from "./method-override.ts";
import { arrivalOf, checkCall } from "./limits.ts";
import { substitute } from "./references.ts";
import type { Route } from "./route.ts";

const MAX_BUFFERED_BODY = 1024 * 1024;

/** The request as it will leave, but for its credential; and its body, where that streams past unread. */
export interface Draft {
  readonly outgoing: Outgoing;
  readonly stream: ReadableStream | null;
  /** Its length in bytes, where the client announced it. */
  readonly length: number | null;
  /** Bytes that may stream past, where that is not known beforehand; else null. */
  readonly limit: number | null;
  /** Looks at what streams past; null where nothing is to be found. */
  readonly watch: BodyWatch | null;
  readonly websocket: boolean;
}

/**
 * Everything of the client's that goes on, with whatever it put where the credential goes taken off: what is decided on
 * is what is sent. The body follows in `takeBody`, once the call is allowed at all.
 */
export function draftOutgoing(call: AgentCall, route: Route): Draft {
  const { method, path, query } = call;
  checkCall(call.request.url, call.fields, route.limits);
  const websocket = fieldOf(call.fields, "upgrade")?.toLowerCase() === "websocket";
  if (websocket && !route.websockets) {
    throw new Problem("HEADER_REFUSED", `The connection "${route.slug}" does not let WebSockets through.`, {
      why: "An editor can set `websockets` on the connection.",
    });
  }
  const headers = requestHeaders(call.fields, route, websocket);
  const outgoing: Outgoing = { method, path, query, headers, body: null };
  const { max_body_bytes: limit } = route.limits;
  const announced = fieldOf(call.fields, "content-length");
  if (limit !== undefined && Number(announced ?? 0) > limit) {
    throw new Problem("BODY_TOO_LARGE", `This connection takes bodies of at most ${limit} bytes.`);
  }
  if (route.kind.header === undefined && !route.kind.needsBody) route.kind.strip(outgoing, route.options);
  if (outgoing.query !== "") {
    for (const place of route.tokenIn) {
      if (place.in === "query") outgoing.query = withoutParameter(outgoing.query, place.name);
    }
  }
  return {
    outgoing,
    stream: null,
    length: announced === null ? null : Number(announced),
    limit: announced === null ? (limit ?? null) : null,
    watch: null,
    websocket,
  };
}

/** Why a body is looked at before it goes on. */
export interface BodyInterest {
  /** Whoever decides looks into it, or has to know its size and is not told. */
  readonly isDecidedOn: boolean;
  readonly isMethodFree: boolean;
}

/**
 * Puts the body to its draft: read whole where it is decided on, or the credential or a reference goes into it, else as
 * a stream. What was read is what is sent. Where the method matters it may not name another (attack 28): it is read for
 * that, or watched as it goes where it is large and its length announced. (Without a length, the platform would end
 * what is broken off as if it were whole.)
 */
export async function takeBody(
  draft: Draft,
  call: AgentCall,
  route: Route,
  { isDecidedOn, isMethodFree }: BodyInterest,
): Promise<Draft> {
  const { outgoing, length } = draft;
  const stream = call.body.stream();
  if (stream === null) return draft;
  const watch = isMethodFree ? null : watchFor(outgoing.headers);
  const isNeeded =
    isDecidedOn || route.kind.needsBody || route.references.includes("body") || call.body.wasRead;
  const isLarge = length !== null && length > MAX_BUFFERED_BODY;
  if (!isNeeded && (watch === null || isLarge)) return { ...draft, stream, watch };
  const limit = Math.min(route.limits.max_body_bytes ?? MAX_BUFFERED_BODY, MAX_BUFFERED_BODY);
  outgoing.body = await call.body.whole(limit, arrivalOf(route.limits, "whole"));
  if (outgoing.headers.get("content-type")?.includes("json"))
    checkDepth(outgoing.body, route.limits.max_json_depth ?? DEFAULT_LIMITS.max_json_depth);
  watch?.see(outgoing.body);
  watch?.end();
  if (route.kind.needsBody) route.kind.strip(outgoing, route.options);
  return draft;
}

/** Attaches the credential, as the last thing before the request leaves. */
export function inject(draft: Draft, route: Route, secrets: OpenSecrets): void {
  substitute(draft.outgoing, route, secrets);
  route.kind.inject(draft.outgoing, route.options, secrets);
}

/** What is sent as the body. Called once, when the call leaves. */
export function bodyOf({
  outgoing,
  stream,
  limit,
  watch,
  length,
}: Draft): Uint8Array | ReadableStream | null {
  if (outgoing.body !== null || stream === null) return outgoing.body;
  if (watch !== null && length !== null)
    return stream.pipeThrough(watching(watch)).pipeThrough(new FixedLengthStream(length));
  return limit === null ? stream : stream.pipeThrough(limited(limit));
}

function watching(watch: BodyWatch): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({
    transform(chunk, controller) {
      watch.see(chunk);
      controller.enqueue(chunk);
    },
    flush: () => watch.end(),
  });
}

function limited(limit: number): TransformStream<Uint8Array, Uint8Array> {
  let passed = 0;
  return new TransformStream({
    transform(chunk, controller) {
      passed += chunk.byteLength;
      if (passed > limit) controller.error(tooLarge(limit));
      else controller.enqueue(chunk);
    },
  });
}
