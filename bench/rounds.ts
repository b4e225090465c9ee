import { setTimeout as sleep } from "node:timers/promises";
import type { Contender } from "./contenders.ts";
import type { LoadGenerator, LoadResult } from "./load.ts";
import { cpuSeconds } from "./process.ts";

/** One contender's turn in one round. */
export interface Turn extends LoadResult {
  round: number;
  connections: number;
  /** CPU seconds of its process per 1,000 calls; null where it has none. */
  cpuPer1000: number | null;
}

/** Turns by contender, in order of rounds. */
export type Turns = ReadonlyMap<string, readonly Turn[]>;

export interface RoundOptions {
  load: LoadGenerator;
  rounds: number;
  /** Of one turn. */
  seconds: number;
  connections: readonly number[];
  onTurn?: (done: number, all: number) => void;
}

/** What is done for a call after its answer (outcomes told, events handed over) is over by then. */
const AFTERMATH_MS = 3_500;

/**
 * Rounds in which every contender has its turn at every concurrency, so that all see the same minutes of the machine;
 * who begins moves on from round to round. A contender's CPU time is read from the beginning of a turn to the
 * beginning of its next one: work put off until after the answer counts too.
 */
export async function measure(contenders: readonly Contender[], options: RoundOptions): Promise<Turns> {
  const turns = new Map<string, Turn[]>(contenders.map(({ name }) => [name, []]));
  const all = options.rounds * options.connections.length * contenders.length;
  const open = new Map<string, { cpu: number; turn: Turn }>();
  const settle = ({ name, pid }: Contender): number => {
    const cpu = pid === null ? 0 : cpuSeconds(pid);
    const before = open.get(name);
    if (before !== undefined && pid !== null) {
      before.turn.cpuPer1000 = ((cpu - before.cpu) / before.turn.requests) * 1_000;
    }
    return cpu;
  };
  let done = 0;
  for (const contender of contenders) await take(contender, options, 8, 1);
  for (let round = 0; round < options.rounds; round += 1) {
    const order = [...contenders.slice(round % contenders.length), ...contenders].slice(0, contenders.length);
    for (const connections of options.connections) {
      for (const contender of order) {
        const cpu = settle(contender);
        const result = await take(contender, options, connections, options.seconds);
        const turn: Turn = { ...result, round, connections, cpuPer1000: null };
        open.set(contender.name, { cpu, turn });
        turns.get(contender.name)?.push(turn);
        done += 1;
        options.onTurn?.(done, all);
      }
    }
  }
  await sleep(AFTERMATH_MS);
  for (const contender of contenders) settle(contender);
  return turns;
}

async function take(
  contender: Contender,
  { load }: RoundOptions,
  connections: number,
  seconds: number,
): Promise<LoadResult> {
  const { url, headers, name } = contender;
  const result = await load.run({ url: `${url}/v1/charges`, headers, connections, seconds });
  if (result.failed > 0 || result.requests === 0) {
    throw new Error(`${name}: ${result.failed} of ${result.requests} calls failed`);
  }
  return result;
}
