import { Arrival, type ArrivalLimits } from "../base/arrival.ts";

const SMALLEST_READ = 16 * 1024;
const LARGEST_READ = 128 * 1024;

/** A request body on its way to the upstream. */
export interface Passing {
  readonly readable: ReadableStream<Uint8Array>;
  /** Rejects with why the body was broken off: a Problem, or the client's own end. Pending otherwise. */
  readonly failed: Promise<never>;
  /** For the request that carries it, which ends with it. */
  readonly signal: AbortSignal;
}

/**
 * Passes a request body on as it arrives, in bounded memory, and breaks it off where it is late (BODY_TIMEOUT) or
 * where its source fails. `length`: how many bytes it has, null where that is not told. The time that the upstream
 * takes to read counts for the whole, and is no pause of the client's.
 *
 * What is broken off is not closed, nor aborted: the platform would end a body of untold length as if it were whole,
 * and the upstream would act on a part. The signal ends the connection instead.
 */
export function passOn(
  source: ReadableStream<Uint8Array>,
  length: number | null,
  limits: ArrivalLimits,
): Passing {
  const { readable, writable } =
    length === null ? new IdentityTransformStream() : new FixedLengthStream(length);
  const { promise: failed, reject } = Promise.withResolvers<never>();
  // The answer may be there long before the body has gone.
  failed.catch(() => undefined);
  const stop = new AbortController();
  void pump(source, writable, limits, (reason) => {
    reject(reason);
    stop.abort(reason);
  });
  return { readable, failed, signal: stop.signal };
}

async function pump(
  source: ReadableStream<Uint8Array>,
  sink: WritableStream<Uint8Array>,
  limits: ArrivalLimits,
  breakOff: (reason: unknown) => void,
): Promise<void> {
  const { next, cancel } = chunksOf(source);
  const writer = sink.getWriter();
  const arrival = new Arrival(limits, (late) => {
    breakOff(late);
    cancel(late);
  });
  const arrived = async (): Promise<Uint8Array | undefined> => {
    arrival.waits();
    try {
      return await next();
    } catch (error) {
      breakOff(error);
      throw error;
    } finally {
      arrival.arrived();
    }
  };
  try {
    for (let chunk = await arrived(); chunk !== undefined; chunk = await arrived()) await writer.write(chunk);
    if (!arrival.isLate) await writer.close();
  } catch (error) {
    // The upstream does not read on, and may have answered; or the source has failed.
    cancel(error);
  } finally {
    arrival.end();
  }
}

/** Reads by large buffers where the stream can fill them; a chunk is valid until the next one is asked for. */
function chunksOf(source: ReadableStream<Uint8Array>): {
  readonly next: () => Promise<Uint8Array | undefined>;
  readonly cancel: (reason: unknown) => void;
} {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = source.getReader({ mode: "byob" });
  } catch {
    const plain = source.getReader();
    return {
      next: async () => (await plain.read()).value,
      cancel: (reason) => void plain.cancel(reason).catch(() => undefined),
    };
  }
  let buffer = new ArrayBuffer(SMALLEST_READ);
  return {
    async next() {
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (done) return undefined;
      const isFull = value.byteLength === value.buffer.byteLength && value.byteLength < LARGEST_READ;
      buffer = isFull ? new ArrayBuffer(2 * value.byteLength) : value.buffer;
      return value;
    },
    cancel: (reason) => void reader.cancel(reason).catch(() => undefined),
  };
}
