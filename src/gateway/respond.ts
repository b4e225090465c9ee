import { Problem } from "../base/problem.ts";
import { DEFAULT_LIMITS } from "../connections/limits.ts";
import type { ConnectionLimits } from "../connections/schemas.ts";
import { fieldOf, responseHeaders, type Rewrite } from "./headers.ts";
import type { Meter } from "./meter.ts";
import { Cut, type CutCode, type OpenStream } from "./open-streams.ts";
import { type Redactor, releaseMode } from "./redact/redactor.ts";

/** Bodies up to this size are read whole: cheaper than a stream, and nothing is held back. */
const WHOLE_BODY_BYTES = 64 * 1024;
/** What any compressed body may grow to, and what one may whose size is not told. */
const MIN_EXPANDED_BYTES = 16 * 1024 * 1024;
const MAX_EXPANDED_BYTES = 512 * 1024 * 1024;
/** Charsets in which ASCII text is not written by its own bytes. */
const WIDE_CHARSET =
  /charset\s*=\s*["']?\s*(?:utf-?(?:16|32|7)|ucs-?[24]|unicode|iso-10646|csunicode|ebcdic|(?:ibm|cp)-?0?(?:37|500|1026|1047|114[0-9]))/i;

export interface Passed {
  readonly bytes: number;
  /** Why it ended before its end: the upstream or the client broke off, a limit was reached, or the gateway cut it. */
  readonly error: "BROKEN_OFF" | CutCode | null;
}

/**
 * The upstream's answer as the agent may see it. `onEnd` is told once, when the last byte has passed. Throws
 * UPSTREAM_REFUSED for what cannot be searched: partial content, and encodings that the platform does not undo, of
 * bytes or of characters (attacks 41, 42). Throws `Cut` where the call has to end before a byte of a small body went.
 */
export async function respond(
  upstream: Response,
  context: {
    readonly method: string;
    readonly redactor: Redactor;
    readonly rewrite: Rewrite;
    readonly limits: ConnectionLimits;
    readonly open: () => OpenStream;
    readonly waitUntil: (promise: Promise<unknown>) => void;
    readonly onEnd: (passed: Passed) => void;
    /** Looks at the body for what the call came to. */
    readonly meter?: Meter | null;
  },
): Promise<Response> {
  const { redactor, rewrite, method, onEnd, meter = null } = context;
  // Exactly as written: the platform undoes `gzip` and `br` and passes `GZIP` on as it came.
  const fields = [...upstream.headers];
  const encoding = fieldOf(fields, "content-encoding") ?? "identity";
  const contentType = fieldOf(fields, "content-type");
  if (encoding !== "identity" && encoding !== "gzip" && encoding !== "br") {
    throw refused(upstream, "is compressed in a way that cannot be searched for the credential");
  }
  if (contentType !== null && WIDE_CHARSET.test(contentType)) {
    throw refused(upstream, "is in a charset that cannot be searched for the credential");
  }
  if (upstream.status === 206 || contentType?.toLowerCase().startsWith("multipart/byteranges")) {
    throw refused(upstream, "is partial content, in which the credential could hide");
  }
  const headers = responseHeaders(fields, (text) => redactor.text(text), rewrite);
  const { status } = upstream;
  const length = contentLength(fieldOf(fields, "content-length"));
  if (upstream.body === null || method === "HEAD" || status === 204 || status === 304) {
    if (method === "HEAD" && length !== null && encoding === "identity")
      headers.set("content-length", String(length));
    onEnd({ bytes: 0, error: null });
    return new Response(null, { status, headers });
  }
  meter?.begin(contentType);
  if (encoding === "identity" && length !== null && length <= WHOLE_BODY_BYTES) {
    const body = redactor.whole(new Uint8Array(await arrived(upstream, context.open())));
    meter?.see(body);
    onEnd({ bytes: body.byteLength, error: null });
    return new Response(body, { status, headers });
  }
  const ratio = context.limits.max_expansion ?? DEFAULT_LIMITS.max_expansion;
  const expanded = length === null ? MAX_EXPANDED_BYTES : Math.max(MIN_EXPANDED_BYTES, length * ratio);
  const limit = encoding === "identity" ? Number.POSITIVE_INFINITY : expanded;
  const { readable, writable } =
    encoding === "identity" && length !== null
      ? new FixedLengthStream(length)
      : new IdentityTransformStream();
  let bytes = 0;
  const onBytes = (count: number): void => {
    bytes += count;
    if (bytes > limit) throw new Error("a compressed body grew beyond its limit");
  };
  const stream = context.open();
  const pumped = redactor
    .pump(upstream.body, writable, releaseMode(contentType), onBytes, meter?.watch(stream) ?? stream)
    .then(
      () => null,
      () => "BROKEN_OFF" as const,
    )
    .then((error) => onEnd({ bytes, error: stream.end() ?? error }));
  context.waitUntil(pumped);
  return new Response(readable, { status, headers });
}

async function arrived(upstream: Response, stream: OpenStream): Promise<ArrayBuffer> {
  try {
    return await stream.during(upstream.arrayBuffer());
  } catch (cause) {
    if (cause instanceof Cut) throw cause;
    throw new Problem("UPSTREAM_FAILED", "The upstream broke off in the middle of its answer.", {
      cause,
      why: "The call may have been carried out: look before you repeat it.",
    });
  } finally {
    stream.end();
  }
}

function contentLength(text: string | null): number | null {
  return text !== null && /^[0-9]{1,15}$/.test(text) ? Number(text) : null;
}

function refused(upstream: Response, what: string): Problem {
  void upstream.body?.cancel().catch(() => undefined);
  return new Problem("UPSTREAM_REFUSED", `The upstream's answer ${what}.`, {
    why: "The call was carried out; ask the upstream for an uncompressed or gzip answer, or for the whole resource.",
  });
}
