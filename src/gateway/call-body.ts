import type { ArrivalLimits } from "../base/arrival.ts";
import { Problem } from "../base/problem.ts";
import { readBody, tooLarge } from "../base/request.ts";

/** The body of one call. A call may be decided several times; what it carries can be taken from the wire only once. */
export class CallBody {
  readonly #request: Request;
  /** False of a call that was only described, without saying what it carries. */
  readonly isKnown: boolean;
  #read: Promise<Uint8Array> | null = null;

  constructor(request: Request, isKnown: boolean = true) {
    this.#request = request;
    this.isKnown = isKnown;
  }

  /**
   * What is passed on unread, or null where there is nothing. Throws VALIDATION_ERROR for the body of a GET or HEAD:
   * the platform's fetch sends none with them.
   */
  stream(): ReadableStream | null {
    const { body, method, headers } = this.#request;
    if (body === null || (method !== "GET" && method !== "HEAD")) return body;
    if (headers.get("content-length") === "0") return null;
    throw new Problem("VALIDATION_ERROR", `A ${method} with a body cannot be passed on.`, {
      why: "Send what the body says in the query, or with a method that has a body.",
    });
  }

  /** All of it, the same bytes each time; BODY_TOO_LARGE beyond `maxBytes`, BODY_TIMEOUT where it is late. */
  async whole(maxBytes: number, limits: ArrivalLimits): Promise<Uint8Array> {
    this.#read ??= readBody(this.#request, maxBytes, limits);
    const bytes = await this.#read;
    if (bytes.byteLength <= maxBytes) return bytes;
    throw tooLarge(maxBytes);
  }

  /** It is off the wire: from then on there is only `whole`. */
  get wasRead(): boolean {
    return this.#read !== null;
  }
}
