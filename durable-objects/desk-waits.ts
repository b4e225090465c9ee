import type { Crowd } from "../src/approvals/desk.ts";
import type { AgentId, ApprovalId } from "../src/base/ids.ts";

/** Of a tenant at a time, and of one agent's among them: one that holds many calls open leaves room for the others. */
const MOST = 1_000;
const MOST_OF_AN_AGENT = 100;

/** Who waits at a desk for what becomes of a case. In memory: whoever waits asks again where the desk has gone. */
export class DeskWaits {
  readonly #waiting = new Map<ApprovalId, Set<() => void>>();
  readonly #ofAgents = new Map<AgentId, number>();
  #count = 0;

  /** Takes a place for one more of this agent's, to be left again; or says which bound leaves none. */
  enter(agentId: AgentId): Crowd | null {
    const own = this.#ofAgents.get(agentId) ?? 0;
    if (own >= MOST_OF_AN_AGENT) return { kind: "crowded", of: "agent", most: MOST_OF_AN_AGENT };
    if (this.#count >= MOST) return { kind: "crowded", of: "tenant", most: MOST };
    this.#ofAgents.set(agentId, own + 1);
    this.#count++;
    return null;
  }

  leave(agentId: AgentId): void {
    const own = this.#ofAgents.get(agentId) ?? 0;
    if (own <= 1) this.#ofAgents.delete(agentId);
    else this.#ofAgents.set(agentId, own - 1);
    this.#count--;
  }

  /** Until the case changes, or so long. */
  async changed(id: ApprovalId, milliseconds: number): Promise<void> {
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiting);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, milliseconds);
      function done(): void {
        clearTimeout(timer);
        waiting.delete(done);
        resolve();
      }
      waiting.add(done);
    });
    if (waiting.size === 0 && this.#waiting.get(id) === waiting) this.#waiting.delete(id);
  }

  /** The case has changed. */
  wake(id: ApprovalId): void {
    for (const done of [...(this.#waiting.get(id) ?? [])]) done();
  }
}
