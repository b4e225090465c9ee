/**
 * The time limits of one call, one after the other, on one timer that is never cleared: setting and clearing one per
 * limit costs as much as what they bound, and the platform drops a call's timer with the call.
 */
export class Deadline {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #firesAt = 0;
  #due = 0;
  #late: (() => void) | null = null;

  /** `work`, or a rejection with `DeadlinePassed` where it takes longer than `milliseconds`. One at a time. */
  within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
    this.#due = Date.now() + milliseconds;
    if (this.#timer === undefined || this.#firesAt > this.#due) this.#arm();
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

  #arm(): void {
    clearTimeout(this.#timer);
    this.#firesAt = this.#due;
    this.#timer = setTimeout(() => this.#fire(), this.#due - Date.now());
  }

  #fire(): void {
    this.#timer = undefined;
    if (this.#late === null) return;
    if (Date.now() >= this.#due) this.#late();
    else this.#arm();
  }
}

export class DeadlinePassed extends Error {
  override readonly name = "DeadlinePassed";
}
