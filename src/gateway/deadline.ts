/**
 * The time limits of one call, one after the other, on one timer: setting and clearing one per limit would cost as much
 * as what they bound.
 */
export class Deadline {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #firesAt = 0;
  #due = 0;
  #late: (() => void) | null = null;

  /** `work`, or a rejection with `DeadlinePassed` where it takes longer than `milliseconds`. One at a time. */
  async within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
    this.#due = Date.now() + milliseconds;
    const late = new Promise<never>((_resolve, reject) => {
      this.#late = () => reject(new DeadlinePassed());
    });
    if (this.#timer === undefined || this.#firesAt > this.#due) this.#arm();
    try {
      return await Promise.race([work, late]);
    } finally {
      this.#late = null;
    }
  }

  /** To be called when the call has no limit any more. */
  end(): void {
    clearTimeout(this.#timer);
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
