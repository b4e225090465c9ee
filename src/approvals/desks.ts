import type { AgentId, ApprovalId, MemberId, TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import { within } from "../base/within.ts";
import type { Case } from "./case.ts";
import type { AskedCase, Claim, Crowd, DeskObject, Standing } from "./desk.ts";

/** A request that is asked for again and again until people have answered. */
export interface ClaimKey {
  readonly tenantId: TenantId;
  readonly agentId: AgentId;
  readonly digest: string;
}

const ATTEMPTS = 2;
const ROUNDS = 4;
/** The desk writes at once, or is away. */
const ANSWERS_WITHIN_MS = 10_000;
/** What was waited for is told a moment after it happened. */
const TOLD_WITHIN_MS = 5_000;

/** Every tenant's desk, for whoever asks people: tokens, calls, permissions. */
export class Desks {
  readonly #object: (tenantId: TenantId) => DeskObject;
  readonly #entitled: (tenantId: TenantId, voters: readonly MemberId[]) => Promise<readonly MemberId[]>;

  constructor(parts: {
    /** A fresh stub each time: one that broke stays broken. */
    readonly object: (tenantId: TenantId) => DeskObject;
    /** Which of these members may (still) approve: read when an approval is used up (attack 79). */
    readonly entitled: (tenantId: TenantId, voters: readonly MemberId[]) => Promise<readonly MemberId[]>;
  }) {
    this.#object = parts.object;
    this.#entitled = parts.entitled;
  }

  /**
   * Uses the approval of exactly this up, or asks for one: `make` is called where the same is not open. `useId` names who
   * uses it up: claimed again by the same one, the answer is the same. Throws CONFLICT where 20 of the agent's are open,
   * UNAVAILABLE where the desk does not answer.
   */
  async claim(key: ClaimKey, useId: string, make: () => Promise<AskedCase>): Promise<Claim> {
    const { tenantId, agentId, digest } = key;
    for (let round = 0; round < ROUNDS; round++) {
      const standing =
        (await this.run(tenantId, (desk) => desk.find(agentId, digest, useId))) ??
        (await this.#ask(tenantId, await make(), useId));
      if (standing.kind === "crowded") throw crowded(standing.most);
      if (standing.kind !== "ready") return standing;
      const entitled = await this.#entitled(tenantId, standing.voters).catch((error: unknown) => {
        throw error instanceof Problem ? error : away(error);
      });
      const used = await this.run(tenantId, (desk) => desk.consume(standing.approvalId, useId, entitled));
      if (used.kind === "granted") return used;
    }
    throw away();
  }

  /** As `claim`, asking for nothing and using nothing up: null where the same is not open. */
  find({ tenantId, agentId, digest }: ClaimKey, useId: string): Promise<Standing | null> {
    return this.run(tenantId, (desk) => desk.find(agentId, digest, useId));
  }

  /** What was used up by `useId` surely did not happen: it may be claimed again. */
  async release(tenantId: TenantId, id: ApprovalId, useId: string): Promise<void> {
    await this.run(tenantId, (desk) => desk.release(id, useId));
  }

  /**
   * How it stands once people have answered (`answered`), or once it can be used, too (`usable`), or after so long. Null
   * where there is none. Throws RATE_LIMITED where too many wait for answers already, of its agent or of the tenant.
   */
  async decided(
    tenantId: TenantId,
    id: ApprovalId,
    until: "answered" | "usable",
    milliseconds: number,
  ): Promise<Case | null> {
    const decided = await this.run(
      tenantId,
      (desk) => desk.decided(id, until, milliseconds),
      milliseconds + TOLD_WITHIN_MS,
    );
    if (decided.kind === "crowded") throw tooManyWait(decided);
    return decided.kind === "seen" ? decided.held : null;
  }

  /** Asks the tenant's desk, again where the answer got lost: what it does it does once. Throws UNAVAILABLE. */
  async run<T>(
    tenantId: TenantId,
    work: (desk: DeskObject) => Promise<T>,
    withinMs = ANSWERS_WITHIN_MS,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await within(withinMs, work(this.#object(tenantId)));
      } catch (cause) {
        const isOverloaded = cause instanceof Error && "overloaded" in cause && cause.overloaded === true;
        if (attempt >= ATTEMPTS || isOverloaded) throw away(cause);
      }
    }
  }

  #ask(tenantId: TenantId, asked: AskedCase, useId: string): Promise<Standing> {
    return this.run(tenantId, (desk) => desk.ask(asked, useId));
  }
}

function away(cause?: unknown): Problem {
  return new Problem("UNAVAILABLE", "Requests for approval cannot be had right now. Try again.", {
    cause,
    headers: { "retry-after": "2" },
  });
}

function tooManyWait({ of, most }: Crowd): Problem {
  const whose = of === "agent" ? "This agent" : "This tenant";
  const bound = most.toLocaleString("en");
  return new Problem("RATE_LIMITED", `${whose} has ${bound} calls and requests waiting for people already.`, {
    why: `So many may wait for an answer at a time, of ${of === "agent" ? "one agent" : "a whole tenant"}. Ask without waiting: that is answered at once, and what became of it can be asked for later.`,
    headers: { "retry-after": "30" },
  });
}

function crowded(most: number): Problem {
  return new Problem("CONFLICT", `This agent has asked people too much: it has ${most} requests already.`, {
    why: "At most 20 wait at the same time, and 120 are made an hour. Wait for the answers.",
  });
}
