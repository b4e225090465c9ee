import { createRedactor, releaseMode } from "../../src/gateway/redact/redactor.ts";
import injector from "./injector.ts";

const nothing = createRedactor([]);

/**
 * The injector, with the body taken through the gateway's own pump by a redactor that looks for nothing: what it costs
 * that JavaScript has the bytes in its hands at all.
 */
export default {
  async fetch(
    request: Request,
    env: Parameters<typeof injector.fetch>[1],
    context: ExecutionContext,
  ): Promise<Response> {
    const upstream = await injector.fetch(request, env);
    const length = upstream.headers.get("content-length");
    if (upstream.body === null) return upstream;
    const { readable, writable } =
      length === null ? new IdentityTransformStream() : new FixedLengthStream(Number(length));
    context.waitUntil(
      nothing.pump(upstream.body, writable, releaseMode(upstream.headers.get("content-type"))),
    );
    return new Response(readable, { status: upstream.status, headers: upstream.headers });
  },
};
