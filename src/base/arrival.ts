import { Problem } from "./problem.ts";

/** How long a body may take, in milliseconds. */
export interface ArrivalLimits {
  /** Until more of it arrives, while it is waited for. */
  readonly idleMs: number;
  /** In all. */
  readonly totalMs: number;
}

/**
 * Watches a body arrive, on one timer: BODY_TIMEOUT goes to `onLate`, once, where it is waited for too long or is not
 * there in time. Waiting for whoever takes the body on does not count as idle.
 */
export class Arrival {
  readonly #limits: ArrivalLimits;
  readonly #onLate: (problem: Problem) => void;
  readonly #dueAt: number;
  #waitingSince: number | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #late = false;

  constructor(limits: ArrivalLimits, onLate: (problem: Problem) => void) {
    this.#limits = limits;
    this.#onLate = onLate;
    const now = Date.now();
    this.#dueAt = now + limits.totalMs;
    this.#arm(now);
  }

  get isLate(): boolean {
    return this.#late;
  }

  /** More is asked for. */
  waits(): void {
    this.#waitingSince = Date.now();
  }

  /** More is there. */
  arrived(): void {
    this.#waitingSince = null;
  }

  /** Nothing more is asked for. */
  end(): void {
    clearTimeout(this.#timer);
  }

  #arm(now: number): void {
    const { idleMs } = this.#limits;
    const at = Math.min(this.#dueAt, (this.#waitingSince ?? now) + idleMs);
    this.#timer = setTimeout(() => this.#fire(), at - now);
  }

  #fire(): void {
    const now = Date.now();
    const { idleMs, totalMs } = this.#limits;
    if (now >= this.#dueAt) this.#end(`was not complete within ${totalMs / 1000} s`);
    else if (this.#waitingSince !== null && now - this.#waitingSince >= idleMs)
      this.#end(`stopped arriving for ${idleMs / 1000} s`);
    else this.#arm(now);
  }

  #end(how: string): void {
    this.#late = true;
    this.#onLate(new Problem("BODY_TIMEOUT", `The body ${how}.`, { why: "Send it again without pauses." }));
  }
}
