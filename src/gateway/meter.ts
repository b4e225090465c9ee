import type { CallEnd, Costs, Reservation } from "../budgets/budget-set.ts";
import type { Found } from "../budgets/usage.ts";
import { EventFields } from "./meter-events.ts";
import { JsonFields } from "./meter-json.ts";
import type { Flow } from "./redact/flow.ts";

interface Fields {
  readonly found: Found;
  see(bytes: Uint8Array): void;
  end(): void;
}

const NOTHING: Found = new Map();

/** Reads what a call came to out of its answer as it passes, and holds none of it. */
export class Meter {
  readonly #reservation: Reservation;
  #fields: Fields | null = null;
  #sent = 0;

  constructor(reservation: Reservation) {
    this.#reservation = reservation;
  }

  /** The same body, counted as it goes; `length` is what was announced. */
  counted(
    body: Uint8Array | ReadableStream | null,
    length: number | null,
  ): Uint8Array | ReadableStream | null {
    const isKnown = !(body instanceof ReadableStream) || length !== null;
    if (isKnown || !this.#reservation.countsSent) return body;
    return body.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform: (chunk, controller) => {
          this.sent(chunk.byteLength);
          controller.enqueue(chunk);
        },
      }),
    );
  }

  /** So many more bytes went to the upstream. */
  sent(bytes: number): void {
    this.#sent += bytes;
  }

  /** What an answer's body is; bytes follow, as they are passed on. */
  begin(contentType: string | null): void {
    const { paths } = this.#reservation;
    const type = contentType?.split(";", 1)[0]?.trim().toLowerCase() ?? "";
    if (paths === null) return;
    if (type === "text/event-stream") this.#fields = new EventFields(paths);
    else if (type.includes("json")) this.#fields = new JsonFields(paths);
  }

  see(bytes: Uint8Array): void {
    this.#fields?.see(bytes);
  }

  /** The same flow, whose bytes are looked at. */
  watch(flow: Flow): Flow {
    if (this.#fields === null) return flow;
    return {
      moved: (side) => flow.moved(side),
      onCut: (run) => flow.onCut(run),
      see: (bytes) => this.see(bytes),
    };
  }

  /** What an ended call came to. */
  costs(end: Omit<CallEnd, "found" | "sent">): Costs {
    this.#fields?.end();
    return this.#reservation.costs({ ...end, sent: this.#sent, found: this.#fields?.found ?? NOTHING });
  }

  /** Of a call that never left. */
  get nothing(): Costs {
    return this.#reservation.nothing;
  }
}
