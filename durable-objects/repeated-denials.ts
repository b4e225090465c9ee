import type { DeniedBy } from "../src/base/denied-by.ts";
import type { ChargeVerdict, EventDraft } from "../src/tokens/charge.ts";

const MAX_GROUPS = 50;
const MINUTE_MS = 60_000;
/** A flood that goes on is counted in its next event; what has ended is told this long after its minute. */
const TOLD_AFTER_MS = 2_000;

export interface Denial {
  readonly tokenId: string;
  readonly tenantId: string;
  readonly expiresAt: number;
  readonly event: EventDraft;
  readonly verdict: ChargeVerdict;
  readonly by: DeniedBy | undefined;
}

/** Refusals alike within a minute: the first was written, the others are counted. */
interface Group {
  readonly minute: number;
  readonly first: Denial;
  /** The event id of the first. */
  readonly firstId: string;
  /** Of several resources, tokens and rules, because there were too many to tell apart. */
  readonly various: boolean;
  repeats: number;
}

/** Writes an event; its id, or null where nothing can be recorded now. */
type Write = (denial: Denial, context: Readonly<Record<string, unknown>>, now: number) => string | null;

/**
 * A flood of refusals costs one event per reason, rule, token, resource and minute. The count is told with the next one
 * of the group (`repeated_before`) or, where none follows, by an event of its own (`repeated` and `repeats_of`, the
 * first's id); `various` where it is not of that rule and resource alone. Lives in memory: an object that is evicted
 * within the minute loses the count, never the first.
 */
export class RepeatedDenials {
  readonly #write: Write;
  readonly #groups = new Map<string, Group>();
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(write: Write) {
    this.#write = write;
  }

  add(reason: string, denial: Denial, now: number): void {
    const minute = Math.floor(now / MINUTE_MS);
    const { tokenId, event, by } = denial;
    const key = this.#key(reason, `${tokenId}\n${event.resource}\n${JSON.stringify(by)}`, minute);
    const group = this.#groups.get(key);
    if (group?.minute === minute) {
      group.repeats++;
      this.#tellLater(now);
      return;
    }
    const repeats = group?.repeats ?? 0;
    const various = key === reason;
    const before = repeats > 0 ? { repeated_before: repeats, ...(various ? { various } : {}) } : {};
    const firstId = this.#write(denial, { ...by, reason, ...before }, now);
    if (firstId === null) return;
    this.#groups.delete(key);
    this.#groups.set(key, { minute, first: denial, firstId, various, repeats: 0 });
  }

  /** Tells the counts of minutes that are over, or all of them. */
  tell(now: number, everything: boolean): void {
    const minute = Math.floor(now / MINUTE_MS);
    for (const [key, group] of this.#groups) {
      if (!everything && group.minute >= minute) continue;
      if (group.repeats > 0) {
        const { first, firstId, repeats, various } = group;
        const context = {
          ...(various ? { various } : first.by),
          ...{ reason: key.split("\n", 1)[0], repeated: repeats, repeats_of: firstId },
        };
        if (this.#write(first, context, now) === null) continue;
        group.repeats = 0;
      }
      if (group.minute < minute) this.#groups.delete(key);
    }
  }

  #key(reason: string, what: string, minute: number): string {
    const key = `${reason}\n${what}`;
    if (this.#groups.has(key)) return key;
    if (this.#groups.size >= MAX_GROUPS) {
      for (const [old, group] of this.#groups) {
        if (group.minute < minute && group.repeats === 0) this.#groups.delete(old);
      }
    }
    return this.#groups.size < MAX_GROUPS ? key : reason;
  }

  #tellLater(now: number): void {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.tell(Date.now(), false);
        if ([...this.#groups.values()].some(({ repeats }) => repeats > 0)) this.#tellLater(Date.now());
      },
      MINUTE_MS - (now % MINUTE_MS) + TOLD_AFTER_MS,
    );
  }
}
