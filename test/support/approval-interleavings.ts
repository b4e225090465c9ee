import { Desks } from "../../src/approvals/desks.ts";
import type { AskedCase, DeskObject } from "../../src/approvals/desk.ts";
import type { AgentId, ApprovalId, MemberId, TenantId } from "../../src/base/ids.ts";
import { ApprovalModel, areApart } from "./approval-model.ts";

/** A desk, and what can be done to it from outside. */
export interface DeskWorld {
  readonly tenantId: TenantId;
  /** A fresh stub. */
  desk(): DeskObject;
  /** The desk's clock. */
  setTime(at: number): void;
  alarm(): Promise<void>;
  restart(): Promise<void>;
}

export interface Tally {
  asked: number;
  votes: number;
  used: number;
  refused: number;
}

const PEOPLE = ["mem_0", "mem_1", "mem_2", "mem_3"] as const;
const MINUTE = 60_000;
const BY = { actor: "member:test", ip: null, userAgent: null, requestId: "req_test" };

/** What can be asked for: the need differs. */
const NEEDS = [
  { needed: 1, delaySeconds: 0 },
  { needed: 2, delaySeconds: 300 },
  { needed: 2, delaySeconds: 0 },
] as const;

/**
 * One run of random acts on a desk, each held against the model, and whatever was used held against the log of what
 * people did: never without its quorum of different, entitled people, never before its delay is over, never twice.
 * Throws with the run's trace where one of these does not hold.
 */
export async function interleave(
  seed: number,
  world: DeskWorld,
  startedAt: number,
  tally: Tally,
  steps = 30,
): Promise<void> {
  const run = new Run(seed, world, startedAt, tally);
  try {
    for (let step = 0; step < steps; step++) await run.step();
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new Error(`seed ${seed}: ${said}\n${run.trace.join("\n")}`, { cause: error });
  }
}

/** What people did to a case, as they were told it was done, and what was used. */
interface Log {
  readonly key: string;
  readonly need: (typeof NEEDS)[number];
  readonly approvals: { person: string; at: number }[];
  ended: boolean;
  /** Uses that were granted and not released. */
  readonly uses: Set<string>;
}

class Run {
  readonly trace: string[] = [];
  readonly #random: () => number;
  readonly #world: DeskWorld;
  readonly #tally: Tally;
  readonly #model = new ApprovalModel();
  readonly #desks: Desks;
  readonly #entitled = new Set<string>(PEOPLE);
  readonly #log = new Map<string, Log>();
  readonly #agent: AgentId;
  #uses: { id: string; key: string; useId: string }[] = [];
  #now: number;
  /** How much time has really gone by: a clock that is put back takes none. */
  #elapsed = 0;
  #count = 0;

  constructor(seed: number, world: DeskWorld, startedAt: number, tally: Tally) {
    this.#random = mulberry32(seed);
    this.#world = world;
    this.#tally = tally;
    this.#now = startedAt;
    this.#model.now = startedAt;
    this.#agent = `agt_${seed}` as AgentId;
    this.#desks = new Desks({
      object: () => world.desk(),
      entitled: async (_, voters) => voters.filter((voter) => this.#entitled.has(voter)),
    });
    world.setTime(startedAt);
  }

  async step(): Promise<void> {
    const acts: [weight: number, act: () => Promise<void>][] = [
      [24, () => this.#claim()],
      [8, () => this.#claimAtOnce()],
      [30, () => this.#approve()],
      [3, () => this.#end("deny")],
      [3, () => this.#end("cancel")],
      [8, () => this.#change()],
      [16, () => this.#wait()],
      [4, () => this.#goBack()],
      [4, () => this.#restart()],
      [5, () => this.#release()],
      [6, () => this.#consumeLate()],
    ];
    let drawn = this.#random() * acts.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, act] of acts) {
      drawn -= weight;
      if (drawn < 0) return act();
    }
  }

  async #claim(): Promise<void> {
    const which = this.#pick([0, 1, 2]);
    // Now and then the same use again: an answer that got lost.
    const known = this.#uses.filter(({ key }) => key === String(which));
    const useId = known.length > 0 && this.#random() < 0.15 ? this.#pick(known).useId : this.#newUse();
    const claim = await this.#ask(which, useId);
    const key = String(which);
    this.trace.push(`claim ${key} by ${useId}: ${JSON.stringify(claim)}`);
    this.#compare(claim, key, useId);
  }

  #compare(claim: Claimed, key: string, useId: string): void {
    const expected = this.#model.claim(key, useId, [...this.#entitled]);
    if (expected.kind === "new") {
      if (claim.kind !== "pending" || this.#model.get(claim.approvalId) !== undefined) {
        throw new Error(`expected a new case, got ${JSON.stringify(claim)}`);
      }
      this.#opened(claim.approvalId, Number(key));
      return;
    }
    const isSame = claim.kind === expected.kind && claim.approvalId === expected.id;
    const isTimed =
      claim.kind !== "pending" || expected.kind !== "pending" || claim.notBefore === expected.notBefore;
    if (!isSame || !isTimed)
      throw new Error(`expected ${JSON.stringify(expected)}, got ${JSON.stringify(claim)}`);
    if (claim.kind === "granted") this.#used(claim.approvalId, key, useId, [...this.#entitled]);
  }

  /** Several at the same moment: one gets it at most. */
  async #claimAtOnce(): Promise<void> {
    const which = this.#pick([0, 1, 2]);
    const key = String(which);
    const useIds = [this.#newUse(), this.#newUse(), this.#newUse()];
    const claims = await Promise.all(useIds.map((useId) => this.#ask(which, useId)));
    this.trace.push(`claims at once ${key}: ${JSON.stringify(claims)}`);
    const granted = claims.filter(({ kind }) => kind === "granted");
    if (granted.length > 1) throw new Error("two were granted at once");
    // The one that got it came first; the others found what it left.
    const order = useIds
      .map((_, index) => index)
      .toSorted((a, b) => Number(claims[b]?.kind === "granted") - Number(claims[a]?.kind === "granted"));
    for (const index of order) {
      const claim = claims[index];
      const useId = useIds[index];
      if (claim !== undefined && useId !== undefined) this.#compare(claim, key, useId);
    }
  }

  async #approve(): Promise<void> {
    const id = this.#pickCase();
    if (id === null) return;
    const person = this.#pick(PEOPLE);
    // As the API does: looks, refuses who may be one with a voter, votes. Now and then it looked too long ago.
    const voters =
      (await this.#world.desk().get(id as ApprovalId))?.held.votes.map(({ memberId }) => String(memberId)) ??
      [];
    if (!this.#entitled.has(person) || voters.some((voter) => voter !== person && !areApart(voter, person)))
      return;
    const seen = this.#random() < 0.1 ? voters.slice(1) : voters;
    const vote = {
      memberId: person as MemberId,
      granted: null,
      comment: null,
      apartFrom: seen as MemberId[],
    };
    const clicks = this.#random() < 0.2 ? 2 : 1;
    const answers = await Promise.all(
      Array.from({ length: clicks }, () => this.#world.desk().approve(id as ApprovalId, vote, BY)),
    );
    for (const { kind } of answers) {
      const expected = this.#model.approve(id, person, seen);
      this.trace.push(`${person} approves ${id}: ${kind}`);
      if (kind !== expected) throw new Error(`expected ${expected}, got ${kind}`);
      if (kind !== "ok") continue;
      this.#tally.votes++;
      this.#log.get(id)?.approvals.push({ person, at: this.#elapsed });
    }
  }

  async #end(how: "deny" | "cancel"): Promise<void> {
    const id = this.#pickCase();
    if (id === null) return;
    const { kind } =
      how === "deny"
        ? await this.#world.desk().deny(id as ApprovalId, "no", BY)
        : await this.#world.desk().cancel(id as ApprovalId, null, BY);
    const expected = this.#model.end(id, how === "deny" ? "denied" : "cancelled");
    this.trace.push(`${how} ${id}: ${kind}`);
    if (kind !== expected) throw new Error(`expected ${expected}, got ${kind}`);
    const log = this.#log.get(id);
    if (kind === "ok" && log !== undefined) log.ended = true;
  }

  /** Somebody is demoted, or entitled again. */
  async #change(): Promise<void> {
    const person = this.#pick(PEOPLE);
    if (!this.#entitled.delete(person)) this.#entitled.add(person);
    this.trace.push(`entitled: ${[...this.#entitled].join(" ")}`);
  }

  async #wait(): Promise<void> {
    const minutes = this.#pick([0.2, 1, 5, 5, 6, 14, 20, 61]);
    await this.#setTime(this.#now + minutes * MINUTE);
    // Time is let to do what it does, by an alarm or by whoever looks.
    await this.#world.alarm();
    this.#model.tick();
  }

  async #goBack(): Promise<void> {
    await this.#setTime(this.#now - this.#pick([0.1, 4, 30, 90]) * MINUTE);
  }

  async #setTime(at: number): Promise<void> {
    this.#elapsed += Math.max(0, at - this.#now);
    this.#now = at;
    this.#model.now = at;
    this.#world.setTime(at);
    this.trace.push(`it is ${at}`);
  }

  async #restart(): Promise<void> {
    await this.#world.restart();
    if (this.#random() < 0.5) {
      await this.#world.alarm();
      this.#model.tick();
    }
    this.trace.push("restarted");
  }

  /** What was used did not happen, and is told so once, or twice, or by somebody else. */
  async #release(): Promise<void> {
    if (this.#uses.length === 0) return;
    const use = this.#pick(this.#uses);
    const useId = this.#random() < 0.2 ? this.#newUse() : use.useId;
    await this.#world.desk().release(use.id as ApprovalId, useId);
    this.#model.release(use.id, useId);
    this.trace.push(`release ${use.id} by ${useId}`);
    if (this.#model.get(use.id)?.usedBy === null) this.#log.get(use.id)?.uses.delete(useId);
    if (useId === use.useId) this.#uses = this.#uses.filter((one) => one !== use);
  }

  /** By who was held up between looking who is entitled and using it up. */
  async #consumeLate(): Promise<void> {
    const id = this.#pickCase();
    if (id === null) return;
    const entitled = [...this.#entitled];
    if (this.#random() < 0.5) await this.#change();
    const useId = this.#newUse();
    const answer = await this.#world.desk().consume(id as ApprovalId, useId, entitled as MemberId[]);
    const expected = this.#model.consume(id, useId, entitled);
    this.trace.push(`consume ${id} by ${useId} for ${entitled.join(" ")}: ${JSON.stringify(answer)}`);
    if ((answer.kind === "granted") !== expected) throw new Error(`expected ${expected}`);
    if (expected) this.#used(id, this.#log.get(id)?.key ?? "", useId, entitled);
    else this.#tally.refused++;
  }

  /** The invariant itself, from the log alone. */
  #used(id: string, key: string, useId: string, entitled: readonly string[]): void {
    const log = this.#log.get(id);
    if (log === undefined) throw new Error(`${id} was never asked for`);
    if (log.uses.has(useId)) return;
    if (log.uses.size > 0) throw new Error(`${id} was used twice`);
    if (log.ended) throw new Error(`${id} was used, and people had ended it`);
    const people = new Set(log.approvals.map(({ person }) => person).filter((one) => entitled.includes(one)));
    if (people.size < log.need.needed) throw new Error(`${id} was used without its quorum`);
    const some = [...people].filter((one) =>
      [...people].every((other) => one === other || areApart(one, other)),
    );
    if (some.length < log.need.needed && log.need.needed > 1)
      throw new Error(`${id} was used by one person twice`);
    const last = quorumReachedAt(log, people);
    if (this.#elapsed < last + log.need.delaySeconds * 1_000)
      throw new Error(`${id} was used before its delay`);
    log.uses.add(useId);
    this.#uses.push({ id, key, useId });
    this.#tally.used++;
  }

  #opened(id: string, which: number): void {
    const need = NEEDS[which] ?? NEEDS[0];
    this.#model.open(id, String(which), need.needed, need.delaySeconds * 1_000);
    this.#log.set(id, { key: String(which), need, approvals: [], ended: false, uses: new Set() });
    this.#tally.asked++;
  }

  #ask(which: number, useId: string): Promise<Claimed> {
    const { needed, delaySeconds } = NEEDS[which] ?? NEEDS[0];
    const { tenantId } = this.#world;
    const digest = `digest-${which}`;
    const asked: AskedCase = {
      ...{ tenantId, kind: "permission", agentId: this.#agent, tokenId: null, connection: null, digest },
      ...{ payload: "{}", sealed: null, approvalsNeeded: needed, delaySeconds, tier: null },
      ...{ policies: [], users: [], by: BY },
    };
    return this.#desks.claim({ tenantId, agentId: this.#agent, digest }, useId, async () => asked);
  }

  #pickCase(): string | null {
    const ids = [...this.#log.keys()];
    if (ids.length === 0) return null;
    return this.#random() < 0.8
      ? (ids.slice(-3)[Math.floor(this.#random() * Math.min(3, ids.length))] ?? null)
      : this.#pick(ids);
  }

  #pick<T>(from: readonly T[]): T {
    const picked = from[Math.floor(this.#random() * from.length)];
    if (picked === undefined) throw new Error("nothing to pick from");
    return picked;
  }

  #newUse(): string {
    return `use_${this.#count++}`;
  }
}

type Claimed = Awaited<ReturnType<Desks["claim"]>>;

/** The earliest moment by which so many of these people had said yes: no later than when the desk had its quorum. */
function quorumReachedAt(log: Log, people: ReadonlySet<string>): number {
  const firsts = [...people].map((person) =>
    Math.min(...log.approvals.filter((one) => one.person === person).map(({ at }) => at)),
  );
  return firsts.toSorted((a, b) => a - b)[log.need.needed - 1] ?? Number.POSITIVE_INFINITY;
}

/** A small seeded generator (Tommy Ettinger's mulberry32). */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
