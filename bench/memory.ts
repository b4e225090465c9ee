import type { Contender } from "./contenders.ts";
import type { LoadGenerator } from "./load.ts";
import { residentBytes } from "./process.ts";
import type { Turns } from "./rounds.ts";

export interface Memory {
  /** Calls answered so far. */
  calls: number;
  bytes: number;
}

const SECONDS_A_TIME = 5;
/** No machine is so slow that this does not end. */
const MOST_TURNS = 60;

/** Resident memory of each contender's process after the calls of the rounds, and more until there are `calls`. */
export async function measureMemory(
  contenders: readonly Contender[],
  turns: Turns,
  calls: number,
  load: LoadGenerator,
): Promise<ReadonlyMap<string, Memory>> {
  const memory = new Map<string, Memory>();
  for (const { name, url, headers, pid } of contenders) {
    if (pid === null) continue;
    let made = (turns.get(name) ?? []).reduce((sum, turn) => sum + turn.requests, 0);
    for (let turn = 0; made < calls && turn < MOST_TURNS; turn += 1) {
      const more = { url: `${url}/v1/charges`, headers, connections: 16, seconds: SECONDS_A_TIME };
      made += (await load.run(more)).requests;
    }
    memory.set(name, { calls: made, bytes: residentBytes(pid) });
  }
  return memory;
}
