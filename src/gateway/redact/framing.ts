/** When held bytes may go: at an event's blank line, at a line's end, or a fixed distance behind what has arrived. */
export type ReleaseMode = "events" | "lines" | "distance";

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
/** A frame longer than this is released by distance, so that memory stays bounded. */
const LONGEST_FRAME = 1024 * 1024;

const LINES = new Set([
  "application/x-ndjson",
  "application/ndjson",
  "application/jsonl",
  "application/x-jsonl",
  "application/jsonlines",
  "application/x-jsonlines",
  "application/json-lines",
  "application/json-seq",
  "application/stream+json",
  "application/x-json-stream",
]);

/** The frames a media type promises: SSE's events, NDJSON's (and RFC 7464's) lines, else none. */
export function releaseMode(contentType: string | null): ReleaseMode {
  const essence = contentType?.split(";")[0]!.trim().toLowerCase() ?? "";
  if (essence === "text/event-stream") return "events";
  return LINES.has(essence) || essence.endsWith("+json-seq") ? "lines" : "distance";
}

/** How much of what is held goes now, and how much must be searched before it does. */
export interface Release {
  readonly count: number;
  readonly searched: number;
}

const NOTHING: Release = { count: 0, searched: 0 };

/**
 * Decides what is held back. It looks at lengths and line breaks and at nothing else: holding what resembles the
 * secret would tell an agent that controls part of an echo how much of its guess was right.
 */
export class HoldBack {
  readonly #mode: ReleaseMode;
  readonly #distance: number;
  #looked = 0;
  #overflowing = false;

  /** `distance`: the length in bytes of the longest form. */
  constructor(mode: ReleaseMode, distance: number) {
    this.#mode = mode;
    this.#distance = distance;
  }

  /**
   * What goes of the `length` bytes held. The next call must be given what is then left, with more behind it.
   * By distance, bytes gather until there is twice the distance, so that no byte is searched more than twice
   * however small the pieces that arrive.
   */
  release(bytes: Uint8Array, length: number): Release {
    let threshold = 2 * this.#distance;
    if (this.#mode !== "distance") {
      const end = this.#lastFrameEnd(bytes, length);
      if (end > 0) {
        this.#looked = length - end;
        this.#overflowing = false;
        return { count: end, searched: end };
      }
      this.#looked = length;
      if (!this.#overflowing) threshold = Math.max(threshold, LONGEST_FRAME);
    }
    if (length < threshold) return NOTHING;
    this.#overflowing = true;
    this.#looked = this.#distance;
    return { count: length - this.#distance, searched: length };
  }

  #lastFrameEnd(bytes: Uint8Array, length: number): number {
    for (let i = length - 1; i >= this.#looked; i--) {
      const byte = bytes[i];
      if (byte !== LINE_FEED && byte !== CARRIAGE_RETURN) continue;
      if (this.#mode === "lines") {
        if (byte === LINE_FEED) return i + 1;
        continue;
      }
      // A line break that follows a line break, where CR LF counts as one.
      const before = bytes[byte === LINE_FEED && bytes[i - 1] === CARRIAGE_RETURN ? i - 2 : i - 1];
      if (before === LINE_FEED || before === CARRIAGE_RETURN) return i + 1;
    }
    return 0;
  }
}
