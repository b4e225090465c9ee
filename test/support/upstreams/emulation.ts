import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { brotliCompressSync, constants, createGzip, gzipSync } from "node:zlib";
import { header, type Recorded, type Route } from "../../../local/upstream.ts";

/** An answer to be given instead of the real one: how a provider fails. */
export interface Fault {
  status: number;
  headers?: Record<string, string>;
  body?: unknown;
}

/** A provider as far as its SDK can tell, to be plugged into `startUpstream`. */
export interface Emulation {
  routes: Route[];
  /** Given to the next calls in turn, before anything happens. */
  faults: Fault[];
  /** Holds streams after their first event, see there. */
  pause: Pause;
  upgrade?: (message: IncomingMessage, socket: Duplex) => void;
}

/** Where the provider wants its credential: the header's name and its exact value. */
export interface Place {
  header: string;
  value: string;
}

/** One call, taken apart. */
export interface Exchange {
  request: Recorded;
  response: ServerResponse;
  url: URL;
  /** What the path's `:name` segments were, decoded. */
  params: Record<string, string>;
  /** The credential as it arrived: emulations tell it back wherever a careless provider might. */
  echo: string;
  /** How answers are compressed: where the emulation wants it and the request lets it. */
  encoding: Encoding | null;
}

export type Encoding = "gzip" | "br";

/** Streams send their first event and then wait here: a gateway that gathers them whole never gets the rest. */
export class Pause {
  #gate: Promise<void> = Promise.resolve();

  /** From now on streams wait, until the function that this answers with is called. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = promise;
    return resolve;
  }

  /** Resolves at once where nothing is held. */
  passed(): Promise<void> {
    return this.#gate;
  }
}

/** An emulation of the given calls (`"POST /v1/files/:id"`); `refuse` answers what has no or another credential. */
export function emulate(options: {
  place: Place;
  refuse: (exchange: Exchange) => void;
  calls: Record<string, (exchange: Exchange) => void | Promise<void>>;
  pause?: Pause;
  /** Default: answers are not compressed. */
  encoding?: Encoding;
}): Emulation {
  const { place, refuse, calls } = options;
  const faults: Fault[] = [];
  const table = Object.entries(calls).map(([call, handle]) => {
    const [method = "", path = ""] = call.split(" ");
    return { method, pattern: patternOf(path), handle };
  });
  const handle = async (request: Recorded, response: ServerResponse): Promise<boolean> => {
    const url = new URL(request.url, "http://upstream");
    const echo = header(request, place.header) ?? "";
    response.setHeader("x-received-credential", echo);
    const accepted = (header(request, "accept-encoding") ?? "").split(/[\s,]+/);
    const encoding =
      accepted.find((coding) => coding === options.encoding) === undefined ? null : options.encoding;
    const exchange: Exchange = { request, response, url, params: {}, echo, encoding: encoding ?? null };
    if (echo !== place.value) {
      refuse(exchange);
      return true;
    }
    const fault = faults.shift();
    if (fault !== undefined) {
      json(exchange, fault.status, fault.body ?? {}, fault.headers);
      return true;
    }
    for (const { method, pattern, handle: answer } of table) {
      const match = pattern.exec(url.pathname);
      if (method !== request.method || match === null) continue;
      const groups = Object.entries(match.groups ?? {});
      exchange.params = Object.fromEntries(groups.map(([name, value]) => [name, decodeURIComponent(value)]));
      await answer(exchange);
      return true;
    }
    return false;
  };
  return { routes: [{ handle }], faults, pause: options.pause ?? new Pause() };
}

function patternOf(path: string): RegExp {
  const escaped = path.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`^${escaped.replaceAll(/\/:([a-z]+)/g, "/(?<$1>[^/:]+)")}$`);
}

/** Answers JSON; objects tell the credential back in a member `received_credential` as well. */
export function json(
  exchange: Exchange,
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): void {
  const isPlain = typeof value === "object" && value !== null && !Array.isArray(value);
  const text = JSON.stringify(isPlain ? { ...value, received_credential: exchange.echo } : value);
  const { encoding } = exchange;
  const body = encoding === null ? text : encoding === "br" ? brotliCompressSync(text) : gzipSync(text);
  exchange.response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    ...(encoding === null ? {} : { "content-encoding": encoding, "x-sent-encoding": encoding }),
    ...headers,
  });
  exchange.response.end(body);
}

/** Answers server-sent events, each given as its lines; waits after the first one as `pause` says. */
export async function events(exchange: Exchange, pause: Pause, frames: readonly string[]): Promise<void> {
  const { response, encoding } = exchange;
  response.writeHead(200, {
    "content-type": "text/event-stream; charset=utf-8",
    ...(encoding === null ? {} : { "content-encoding": "gzip" }),
  });
  const gzip = encoding === null ? null : createGzip({ flush: constants.Z_SYNC_FLUSH });
  gzip?.pipe(response);
  const stream = gzip ?? response;
  const [first = "", ...rest] = frames;
  stream.write(`${first}\n\n`);
  await pause.passed();
  for (const frame of rest) stream.write(`${frame}\n\n`);
  stream.end();
}

/** A part of a `multipart/form-data` body (RFC 7578). */
export interface Part {
  name: string;
  filename: string | undefined;
  contentType: string | undefined;
  bytes: Buffer;
}

/** The parts of a request's body, their bytes untouched. */
export function multipart(request: Recorded): Part[] {
  const boundary = /boundary="?([^";]+)"?/.exec(header(request, "content-type") ?? "")?.[1];
  if (boundary === undefined) throw new Error("the request is no multipart one");
  const delimiter = `\r\n--${boundary}`;
  // Latin-1 is one character per byte, and makes them bytes again.
  const sections = `\r\n${request.body.toString("latin1")}`.split(delimiter).slice(1, -1);
  return sections.map((section) => {
    const end = section.indexOf("\r\n\r\n");
    const head = section.slice(0, end);
    return {
      name: /[ ;]name="([^"]*)"/i.exec(head)?.[1] ?? "",
      filename: /filename="([^"]*)"/i.exec(head)?.[1],
      contentType: /content-type: *([^\r\n]+)/i.exec(head)?.[1],
      bytes: Buffer.from(section.slice(end + 4), "latin1"),
    };
  });
}

/** The part of that name; a request without it is a mistake of the client's. */
export function part(request: Recorded, name: string): Part {
  const found = multipart(request).find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`the request has no part "${name}"`);
  return found;
}

/** A request's body as JSON. */
// oxlint-disable-next-line typescript/no-explicit-any -- emulations read what they need and no more.
export function bodyOf(exchange: Exchange): any {
  return JSON.parse(exchange.request.body.toString());
}
