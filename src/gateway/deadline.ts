/** A timer that goes off no later than this after what it is set for serves for it: setting another one costs more. */
const SLACK_MS = 500;

/**
 * The time limits of one call, one after the other, on one timer that is never cleared: setting and clearing one per
 * limit costs as much as what they bound, and the platform drops a call's timer with the call.
 */
export class Deadline {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #firesAt = 0;
  #due = 0;
  #late: (() => void) | null = null;
  #wake: { readonly at: number; readonly run: () => void } | null = null;

  /** `work`, or a rejection with `DeadlinePassed` where it takes longer than `milliseconds`. One at a time. */
  within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
    this.#due = Date.now() + milliseconds;
    this.#arm(this.#due);
    return new Promise<T>((resolve, reject) => {
      this.#late = () => reject(new DeadlinePassed());
      work.then(
        (value) => {
          this.#late = null;
          resolve(value);
        },
        (error: unknown) => {
          this.#late = null;
          reject(error);
        },
      );
    });
  }

  /**
   * Runs `run` once, at `at` (milliseconds since 1970) or up to half a second later, unless the call has ended by then:
   * a call that ends in time has paid for no timer. One at a time.
   */
  wakeAt(at: number, run: () => void): void {
    this.#wake = { at, run };
    this.#arm(at, SLACK_MS);
  }

  #arm(at: number, slack = 0): void {
    if (this.#timer !== undefined && this.#firesAt <= at + slack) return;
    clearTimeout(this.#timer);
    this.#firesAt = at;
    this.#timer = setTimeout(() => this.#fire(), Math.max(0, at - Date.now()));
  }

  #fire(): void {
    this.#timer = undefined;
    // By what it was set for, not by the clock, which may have been set back meanwhile.
    const now = Math.max(this.#firesAt, Date.now());
    if (this.#late !== null) {
      if (now >= this.#due) this.#late();
      else this.#arm(this.#due);
    }
    const wake = this.#wake;
    if (wake === null) return;
    if (now < wake.at) return this.#arm(wake.at);
    this.#wake = null;
    wake.run();
  }
}

export class DeadlinePassed extends Error {
  override readonly name = "DeadlinePassed";
}
