import { connect } from "node:net";

export interface RawRequest {
  port: number;
  /** The request, byte for byte; a string is sent as Latin-1. */
  bytes: string | Uint8Array;
  /** The client's own address, any of 127.0.0.0/8. */
  localAddress?: string;
  /** Milliseconds; default 10,000. */
  timeoutMs?: number;
}

export interface RawResponse {
  /** `HTTP/1.1 200 OK` */
  statusLine: string;
  status: number;
  /** Names as sent, in order. */
  headers: [string, string][];
  /** Values of a header, by its name in any case. */
  header(name: string): string[];
  /** Without the chunk framing, if it had one. */
  body: Buffer;
  text: string;
  /** What followed the last chunk. */
  trailers: [string, string][];
  /** Everything received. */
  wire: Buffer;
}

/**
 * An HTTP/1.1 client that sends exactly what it is told and parses one answer, since every library normalises. What
 * comes before it (`100 Continue`, RFC 9110 §15.2) is passed over.
 * Resolves when the answer is complete or the peer closed; rejects after the timeout or without a status line.
 */
export function sendRaw(request: RawRequest): Promise<RawResponse> {
  const { port, bytes, localAddress, timeoutMs = 10_000 } = request;
  return new Promise((resolve, reject) => {
    const socket = connect({
      port,
      host: "127.0.0.1",
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    const isHead = Buffer.from(bytes).subarray(0, 5).toString("latin1") === "HEAD ";
    let received = Buffer.alloc(0);
    const finish = (closed: boolean) => {
      const response = parse(received, closed, isHead);
      if (response === undefined) {
        if (closed) reject(new Error(`no whole answer, ${received.length} bytes`));
        return;
      }
      socket.destroy();
      resolve(response);
    };
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      finish(false);
    });
    socket.on("end", () => finish(true));
    socket.on("error", reject);
    socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  });
}

function parse(wire: Buffer, closed: boolean, isHead: boolean, start = 0): RawResponse | undefined {
  const end = wire.indexOf("\r\n\r\n", start);
  if (end === -1) return undefined;
  const [statusLine = "", ...lines] = wire.subarray(start, end).toString("latin1").split("\r\n");
  const status = Number(statusLine.split(" ")[1]);
  // After `101 Switching Protocols` comes another protocol, and no other answer.
  if (status >= 100 && status < 200 && status !== 101) return parse(wire, closed, isHead, end + 4);
  const headers = lines.map(headerField);
  const header = (name: string) =>
    headers.filter(([field]) => field.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  const content = contentOf(
    wire.subarray(end + 4),
    header,
    closed,
    isHead || status === 204 || status === 304,
  );
  if (content === undefined) return undefined;
  return { statusLine, status, headers, header, ...content, text: content.body.toString(), wire };
}

function contentOf(
  rest: Buffer,
  header: (name: string) => string[],
  closed: boolean,
  empty: boolean,
): { body: Buffer; trailers: [string, string][] } | undefined {
  if (empty) return { body: Buffer.alloc(0), trailers: [] };
  if (header("transfer-encoding").join().toLowerCase() === "chunked") return dechunk(rest);
  const [length] = header("content-length");
  if (length !== undefined) {
    return rest.length >= Number(length)
      ? { body: rest.subarray(0, Number(length)), trailers: [] }
      : undefined;
  }
  return closed ? { body: rest, trailers: [] } : undefined;
}

/** RFC 9112, section 7.1. */
function dechunk(rest: Buffer): { body: Buffer; trailers: [string, string][] } | undefined {
  const chunks: Buffer[] = [];
  for (let at = 0; ;) {
    const lineEnd = rest.indexOf("\r\n", at);
    if (lineEnd === -1) return undefined;
    const size = Number.parseInt(rest.subarray(at, lineEnd).toString("latin1"), 16);
    if (Number.isNaN(size)) throw new Error("a chunk without a size");
    const start = lineEnd + 2;
    if (size === 0) {
      const trailerEnd = rest.indexOf("\r\n\r\n", lineEnd);
      if (trailerEnd === -1) return undefined;
      const lines = rest.subarray(start, Math.max(start, trailerEnd)).toString("latin1");
      return { body: Buffer.concat(chunks), trailers: lines.split("\r\n").filter(Boolean).map(headerField) };
    }
    if (rest.length < start + size + 2) return undefined;
    chunks.push(rest.subarray(start, start + size));
    at = start + size + 2;
  }
}

function headerField(line: string): [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon), line.slice(colon + 1).trim()];
}
