import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newId } from "../../../src/base/ids.ts";
import { BookLedger, type SavedHolder } from "../../../src/budgets/book-ledger.ts";
import type { BudgetClaim } from "../../../src/budgets/claim.ts";
import type { LeaseAnswer, LeaseAsk } from "../../../src/budgets/lease.ts";
import { windowStart } from "../../../src/budgets/period.ts";
import { type SavedShares, Shares } from "../../../src/budgets/share.ts";

const BUDGET = newId("budget");
const TENANT = newId("tenant");
const HOLDERS = ["tok_a", "tok_b", "tok_c"];

interface Call {
  readonly holder: number;
  readonly seq: number;
  readonly window: number;
  readonly reserved: number;
  /** Less once its end is known. */
  cost: number;
}

/** Holders and a book whose messages come in any order, twice or never, and who are killed at any time. */
class World {
  limit: number;
  version = 1;
  now = Date.UTC(2026, 0, 1);
  readonly calls: Call[] = [];
  refused = 0;
  /** On their way. */
  messages: { readonly from: number; readonly life: number; readonly run: () => void }[] = [];
  readonly #shares = HOLDERS.map(() => new Shares());
  readonly #slots: (SavedShares | undefined)[] = HOLDERS.map(() => undefined);
  readonly #lives = HOLDERS.map(() => 0);
  #seq = 0;
  #book = new BookLedger();
  #bookLife = 0;
  readonly #rows = new Map<string, SavedHolder>();
  readonly #settles: boolean;

  constructor(limit: number, settles: boolean) {
    this.limit = limit;
    this.#settles = settles;
  }

  claim(amount: number): BudgetClaim {
    return {
      ...{ budgetId: BUDGET, name: "b", shared: true, period: "minute", limit: this.limit, amount },
      version: this.version,
      ...{ settles: this.#settles, returns: this.#settles },
    };
  }

  /** Passes, is refused, or asks for more: then it is for the caller to try again. */
  call(holder: number, amount: number, others = 0): "passed" | "refused" | "asked" {
    const shares = this.#shares[holder]!;
    const claim = this.claim(amount);
    const refusal = shares.refusal([claim], this.now);
    if (refusal?.kind === "exceeded") {
      this.refused++;
      return "refused";
    }
    if (refusal?.kind === "short") {
      this.#ask(holder, claim, others);
      return "asked";
    }
    const seq = ++this.#seq;
    const { window } = shares.asked(claim, this.now);
    shares.reserve(HOLDERS[holder]!, seq, [claim], this.now);
    this.#slots[holder] = stored(shares.saved(this.now));
    this.calls.push({ holder, seq, window, reserved: amount, cost: amount });
    expect(this.spent().get(window)).toBeLessThanOrEqual(this.limit);
    return "passed";
  }

  settle(index: number, part: number): void {
    const call = this.calls[index % Math.max(1, this.calls.length)];
    if (call === undefined || call.cost < call.reserved) return;
    const cost = Math.floor(call.reserved * part);
    const before = this.#shares[call.holder]!.state(BUDGET);
    this.#shares[call.holder]!.settle(call.seq, [[BUDGET, cost]]);
    const after = this.#shares[call.holder]!.state(BUDGET);
    // Told once, or to an instance that knows nothing of it: then it stays as it was reserved.
    if (before?.window === call.window && after!.spent < before.spent) call.cost = cost;
  }

  #ask(holder: number, claim: BudgetClaim, others: number): void {
    const asked = this.#shares[holder]!.asked(claim, this.now);
    const ask: LeaseAsk = {
      terms: { ...claim, tenantId: TENANT, epoch: 1 },
      ...{ holder: HOLDERS[holder]!, ...asked, need: claim.amount, want: claim.amount + others },
    };
    this.#send(holder, () => this.#asked(holder, this.#lives[holder]!, claim, ask, "not yet"));
  }

  #asked(
    holder: number,
    life: number,
    claim: BudgetClaim,
    ask: LeaseAsk,
    recalled: "not yet" | "some",
  ): void {
    const said = this.#book.ask(ask, this.limit, this.now, recalled);
    if (said.kind === "recall") {
      for (const name of said.holders) this.#recall(name);
      // The book goes on when it has its answers, or not: here the holder may come again.
      this.#send(holder, () => this.#asked(holder, life, claim, ask, "some"), this.#bookLife);
      return;
    }
    if (said.saves) this.#rows.set(ask.holder, stored(this.#book.saved(ask.holder)!));
    this.#send(holder, () => this.#answered(holder, life, claim, said.answer));
  }

  #answered(holder: number, life: number, claim: BudgetClaim, answer: LeaseAnswer): void {
    if (this.#lives[holder] === life) this.#shares[holder]!.answered(claim, claim.amount, answer, this.now);
  }

  #recall(name: string): void {
    const { window } = this.#book;
    const version = this.#book.recall(name);
    const holder = HOLDERS.indexOf(name);
    const life = this.#bookLife;
    if (version === null) return;
    this.#send(holder, () => {
      const spent = this.#shares[holder]!.recalled(BUDGET, window, version);
      if (spent === null) return;
      this.#send(holder, () => {
        if (this.#bookLife !== life || !this.#book.recalled(name, window, version, spent)) return;
        this.#rows.set(name, stored(this.#book.saved(name)!));
      });
    });
  }

  release(holder: number): void {
    this.#book.tick(this.now);
    this.#recall(HOLDERS[holder]!);
  }

  #send(from: number, run: () => void, bookLife: number | null = null): void {
    this.messages.push({
      ...{ from, life: this.#bookLife },
      run: () => (bookLife === null || bookLife === this.#bookLife ? run() : undefined),
    });
  }

  deliver(index: number, keeps: boolean): void {
    if (this.messages.length === 0) return;
    const at = index % this.messages.length;
    const message = this.messages[at]!;
    if (!keeps) this.messages.splice(at, 1);
    message.run();
  }

  lose(index: number): void {
    this.messages.splice(index % Math.max(1, this.messages.length), 1);
  }

  killHolder(holder: number): void {
    this.#lives[holder]!++;
    const shares = new Shares();
    shares.recover(stored(this.#slots[holder]));
    this.#shares[holder] = shares;
  }

  killBook(): void {
    this.#bookLife++;
    this.#book = new BookLedger();
    this.#book.recover([0, 0, 0], stored([...this.#rows]));
  }

  /** By window, what calls have come to. */
  spent(): Map<number, number> {
    const spent = new Map<number, number>();
    for (const { window, cost } of this.calls) spent.set(window, (spent.get(window) ?? 0) + cost);
    return spent;
  }
}

/** As it comes back from storage. */
function stored<T>(value: T): T {
  return value === undefined ? value : (JSON.parse(JSON.stringify(value)) as T);
}

const holder = fc.nat({ max: HOLDERS.length - 1 });
const index = fc.nat({ max: 1_000 });
const move = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("call" as const),
      holder,
      amount: fc.integer({ min: 1, max: 9 }),
      others: fc.nat({ max: 30 }),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({ do: fc.constant("deliver" as const), index, keeps: fc.nat({ max: 7 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("settle" as const),
      index,
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lose" as const), index }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("release" as const), holder }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("killHolder" as const), holder }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("killBook" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.nat({ max: 40_000 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("limit" as const), limit: fc.integer({ min: 0, max: 60 }) }),
  },
);

type Move = typeof move extends fc.Arbitrary<infer T> ? T : never;

function play(world: World, each: Move): void {
  switch (each.do) {
    case "call":
      world.call(each.holder, each.amount, each.others);
      return;
    case "deliver":
      return world.deliver(each.index, each.keeps === 0);
    case "settle":
      return world.settle(each.index, each.part);
    case "lose":
      return world.lose(each.index);
    case "release":
      return world.release(each.holder);
    case "killHolder":
      return world.killHolder(each.holder);
    case "killBook":
      return world.killBook();
    case "limit":
      world.limit = each.limit;
      world.version++;
      return;
    case "wait":
      world.now += each.ms;
  }
}

describe("slices of a shared budget", () => {
  it.each([true, false])(
    "attack 63: property: are never overspent, whatever is lost, repeated, late or killed (calls that settle: %s)",
    (settles) => {
      fc.assert(
        fc.property(
          fc.integer({ min: 5, max: 60 }),
          fc.array(move, { minLength: 50, maxLength: 300, size: "max" }),
          (limit, moves) => {
            const world = new World(limit, settles);
            for (const each of moves) {
              play(world, each);
            }
          },
        ),
        { numRuns: 600 },
      );
    },
  );

  it("property: nothing that fits is refused where every message comes, so the limit is reached exactly", () => {
    const calls = fc.array(fc.record({ holder, kills: fc.boolean() }), { minLength: 80, maxLength: 120 });
    fc.assert(
      fc.property(fc.integer({ min: 5, max: 60 }), calls, (limit, all) => {
        const world = new World(limit, false);
        for (const { holder: who, kills } of all) {
          if (kills) world.killHolder(who);
          for (let tries = 0; tries < 5 && world.call(who, 1) === "asked"; tries++) {
            while (world.messages.length > 0) world.deliver(0, false);
          }
        }
        expect(world.calls.length).toBe(limit);
        expect(world.refused).toBe(all.length - limit);
      }),
      { numRuns: 300 },
    );
  });

  it("a window's remains are gone with it, and the next one is whole", () => {
    const world = new World(10, false);
    const fill = (): void => {
      for (let n = 0; n < 30; n++) {
        for (let tries = 0; tries < 5 && world.call(n % 3, 1) === "asked"; tries++) {
          while (world.messages.length > 0) world.deliver(0, false);
        }
      }
    };
    fill();
    world.now += 60_000;
    fill();
    expect([...world.spent().values()]).toEqual([10, 10]);
    expect([...world.spent().keys()][1]).toBe(windowStart("minute", world.now));
  });

  it("attack 63: a grant that comes after a later recall counts for nothing", () => {
    const world = new World(10, false);
    expect(world.call(0, 1, 9)).toBe("asked");
    // The book has granted all of it; what it says is still on its way when the book wants it back.
    world.deliver(0, false);
    world.release(0);
    const [grant, recall] = world.messages;
    world.messages = [recall!, grant!];
    while (world.messages.length > 0) world.deliver(0, false);
    // Given back, it is another's; the first has to ask anew.
    for (let n = 0; n < 10; n++) {
      while (world.call(1, 1) === "asked") while (world.messages.length > 0) world.deliver(0, false);
    }
    expect(world.calls.length).toBe(10);
    expect(world.call(0, 1)).toBe("asked");
  });
});
