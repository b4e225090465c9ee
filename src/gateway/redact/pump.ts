import type { Flow } from "./flow.ts";
import type { HoldBack } from "./framing.ts";
import type { Edges, Open } from "./lookout.ts";
import { maskSpans, spansBeyond } from "./spans.ts";

const SMALLEST_READ = 16 * 1024;
const LARGEST_READ = 256 * 1024;
/** So many reads in a row that fill less than a quarter, and the next ones are half as large. */
const PATIENCE = 16;

/** Adds the spans to mask in `bytes[0, length)`; answers what goes on behind them, if they are not the last. */
export type Search = (bytes: Uint8Array, length: number, spans: number[], edges: Edges) => Open | undefined;

/** The bytes that have arrived and not yet gone, unmasked, and the spans already known in them. */
class Held {
  bytes = new Uint8Array(SMALLEST_READ);
  length = 0;
  #readSize = SMALLEST_READ;
  #smallReads = 0;
  #spans: number[] = [];
  #seen = 0;
  #open: Open | undefined;

  /** Where the next bytes are to be read to: small while few come, so that slow streams cost little memory. */
  room(): Uint8Array<ArrayBuffer> {
    const free = this.bytes.length - this.length;
    if (free < this.#readSize / 2 || free > 4 * this.#readSize) this.#resize(this.length + this.#readSize);
    return this.bytes.subarray(this.length);
  }

  /** `read` is the `room`, in the buffer that it now is, as far as bytes were read to it. */
  take(read: Uint8Array<ArrayBuffer>, room: number): void {
    this.bytes = new Uint8Array(read.buffer);
    this.length += read.byteLength;
    if (read.byteLength === room) {
      this.#readSize = Math.min(LARGEST_READ, 2 * this.#readSize);
      this.#smallReads = 0;
    } else if (read.byteLength >= this.#readSize / 4) {
      this.#smallReads = 0;
    } else if (++this.#smallReads === PATIENCE) {
      this.#readSize = Math.max(SMALLEST_READ, this.#readSize / 2);
      this.#smallReads = 0;
    }
  }

  append(chunk: Uint8Array): void {
    const needed = this.length + chunk.length;
    if (needed > this.bytes.length) this.#resize(Math.max(needed, 2 * this.bytes.length));
    this.bytes.set(chunk, this.length);
    this.length = needed;
  }

  #resize(size: number): void {
    const bytes = new Uint8Array(size);
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
  }

  /**
   * The first `count` bytes, masked, after a search of the first `searched`; they go with `drop`. The rest stays as it
   * came, since a mask over one secret would hide a longer one that begins with it; its spans are remembered instead.
   */
  masked(count: number, searched: number, search: Search): Uint8Array {
    const spans = this.#spans;
    const more = searched > count;
    this.#open = search(this.bytes, searched, spans, { seen: this.#seen, more, open: this.#open });
    this.#seen = searched - count;
    const taken = this.bytes.subarray(0, count);
    if (spans.length > 0) {
      maskSpans(taken, spans);
      this.#spans = spansBeyond(spans, count);
    }
    return taken;
  }

  drop(count: number): void {
    this.bytes.copyWithin(0, count, this.length);
    this.length -= count;
  }
}

interface Source {
  /** Adds what has arrived next; false at the end. */
  readTo(held: Held): Promise<boolean>;
  cancel(reason: unknown): Promise<void>;
}

/** Reads straight to where the bytes are held, where the stream can: default readers deliver 4 KiB at a time. */
function sourceOf(stream: ReadableStream<Uint8Array>): Source {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = stream.getReader({ mode: "byob" });
  } catch {
    const plain = stream.getReader();
    return {
      async readTo(held) {
        const { value } = await plain.read();
        if (value !== undefined) held.append(value);
        return value !== undefined;
      },
      cancel: (reason) => plain.cancel(reason),
    };
  }
  return {
    async readTo(held) {
      const room = held.room();
      const size = room.byteLength;
      const { done, value } = await reader.read(room);
      // The buffer went with the request and comes back with the answer, at the end of the stream too.
      if (value === undefined) throw new Error("the stream was cancelled");
      held.take(value, size);
      return !done;
    },
    cancel: (reason) => reader.cancel(reason),
  };
}

/**
 * Copies `source` to `sink`, masked, in bounded memory. Resolves when the sink is closed; on an error of either side,
 * and when `flow` says so, both are aborted and it rejects with the error. A sink has to be done with a chunk when its
 * write resolves, as the platform's own are: its bytes are then written over.
 */
export async function pumpMasked(
  source: ReadableStream<Uint8Array>,
  sink: WritableStream<Uint8Array>,
  holdBack: HoldBack,
  search: Search,
  onBytes: (count: number) => void,
  flow?: Flow,
): Promise<void> {
  const upstream = sourceOf(source);
  const writer = sink.getWriter();
  const held = new Held();
  let cut: Error | null = null;
  const pass = async (count: number, searched: number): Promise<void> => {
    if (cut !== null) throw cut;
    if (count === 0) return;
    flow?.moved("agent");
    const taken = held.masked(count, searched, search);
    flow?.see?.(taken);
    await writer.write(taken);
    held.drop(count);
    onBytes(count);
  };
  // An agent that has gone is noticed at once, not at the upstream's next byte.
  writer.closed.catch((reason: unknown) => upstream.cancel(reason)).catch(() => {});
  const copy = async (): Promise<void> => {
    while (await upstream.readTo(held)) {
      const { count, searched } = holdBack.release(held.bytes, held.length);
      await pass(count, searched);
      flow?.moved("upstream");
    }
    await pass(held.length, held.length);
    await writer.close();
  };
  // A read or write that is stuck holds up neither the cut nor what is told of it.
  const cutting = new Promise<never>((_resolve, reject) => {
    flow?.onCut((error) => {
      cut = error;
      reject(error);
    });
  });
  try {
    await (flow === undefined ? copy() : Promise.race([copy(), cutting]));
  } catch (error) {
    const ending = Promise.allSettled([writer.abort(error), upstream.cancel(error)]);
    if (cut === null) await ending;
    throw error;
  }
}
