import type { Flow } from "./flow.ts";
import type { HoldBack } from "./framing.ts";
import type { Edges, Open } from "./lookout.ts";
import { maskSpans, spansBeyond } from "./spans.ts";

const SMALLEST_READ = 16 * 1024;
const LARGEST_READ = 128 * 1024;

/** Adds the spans to mask in `bytes[0, length)`; answers what goes on behind them, if they are not the last. */
export type Search = (bytes: Uint8Array, length: number, spans: number[], edges: Edges) => Open | undefined;

interface Chunks {
  /** The next bytes, valid until the next call; `undefined` at the end. */
  next(): Promise<Uint8Array | undefined>;
  cancel(reason: unknown): Promise<void>;
}

/** Reads by large buffers where the stream can fill them: default readers deliver 4 KiB at a time. */
function chunksOf(source: ReadableStream<Uint8Array>): Chunks {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = source.getReader({ mode: "byob" });
  } catch {
    const plain = source.getReader();
    return { next: async () => (await plain.read()).value, cancel: (reason) => plain.cancel(reason) };
  }
  let buffer = new ArrayBuffer(SMALLEST_READ);
  return {
    async next() {
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (done) return undefined;
      const full = value.byteLength === value.buffer.byteLength && value.byteLength < LARGEST_READ;
      buffer = full ? new ArrayBuffer(2 * value.byteLength) : value.buffer;
      return value;
    },
    cancel: (reason) => reader.cancel(reason),
  };
}

/** The bytes that have arrived and not yet gone, unmasked, and the spans already known in them. */
class Held {
  bytes = new Uint8Array(SMALLEST_READ);
  length = 0;
  #spans: number[] = [];
  #seen = 0;
  #open: Open | undefined;

  append(chunk: Uint8Array): void {
    const needed = this.length + chunk.length;
    if (needed > this.bytes.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.bytes.length));
      larger.set(this.bytes.subarray(0, this.length));
      this.bytes = larger;
    }
    this.bytes.set(chunk, this.length);
    this.length = needed;
  }

  /**
   * Takes the first `count` bytes out, masked, after a search of the first `searched`. The rest stays as it came,
   * since a mask over one secret would hide a longer one that begins with it; its spans are remembered instead.
   */
  take(count: number, searched: number, search: Search): Uint8Array {
    const spans = this.#spans;
    const more = searched > count;
    this.#open = search(this.bytes, searched, spans, { seen: this.#seen, more, open: this.#open });
    this.#seen = searched - count;
    const taken = this.bytes.slice(0, count);
    maskSpans(taken, spans);
    this.#spans = spansBeyond(spans, count);
    this.bytes.copyWithin(0, count, this.length);
    this.length -= count;
    return taken;
  }
}

/**
 * Copies `source` to `sink`, masked, in bounded memory. Resolves when the sink is closed; on an error of either side,
 * and when `flow` says so, both are aborted and it rejects with the error.
 */
export async function pumpMasked(
  source: ReadableStream<Uint8Array>,
  sink: WritableStream<Uint8Array>,
  holdBack: HoldBack,
  search: Search,
  onBytes: (count: number) => void,
  flow?: Flow,
): Promise<void> {
  const chunks = chunksOf(source);
  const writer = sink.getWriter();
  const held = new Held();
  let cut: Error | null = null;
  const pass = async (count: number, searched: number): Promise<void> => {
    if (cut !== null) throw cut;
    if (count === 0) return;
    flow?.moved("agent");
    await writer.write(held.take(count, searched, search));
    onBytes(count);
  };
  // An agent that has gone is noticed at once, not at the upstream's next byte.
  writer.closed.catch((reason: unknown) => chunks.cancel(reason)).catch(() => {});
  const copy = async (): Promise<void> => {
    for (let chunk = await chunks.next(); chunk; chunk = await chunks.next()) {
      held.append(chunk);
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
    const ending = Promise.allSettled([writer.abort(error), chunks.cancel(error)]);
    if (cut === null) await ending;
    throw error;
  }
}
