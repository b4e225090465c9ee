import type { Turn, Turns } from "./rounds.ts";
import { ratios, type Spread, spread } from "./statistics.ts";

/** A contender at one concurrency. */
export interface Figures {
  name: string;
  connections: number;
  cpuPer1000: Spread | null;
  /** CPU over the bare injector's, and over nginx's, round by round. */
  cpuOverInjector: Spread | null;
  cpuOverNginx: Spread | null;
  p50Ms: Spread;
  p50OverInjector: Spread;
  p50OverNginx: Spread | null;
  p99Ms: Spread;
  /** Over the upstream itself. */
  addedP50Ms: Spread;
  addedP99Ms: Spread;
  perSecond: Spread;
}

/** The rounds of every contender, set beside the same rounds of the others. */
export function compare(turns: Turns, connections: readonly number[]): Figures[] {
  return connections.flatMap((at) => {
    const of = (name: string) => (turns.get(name) ?? []).filter((turn) => turn.connections === at);
    return [...turns.keys()].map((name): Figures => {
      const own = of(name);
      const over = (base: string, value: (turn: Turn) => number) => {
        const other = of(base);
        return other.length === 0 ? null : ratios(own.map(value), other.map(value));
      };
      const hasCpu = own.every((turn) => turn.cpuPer1000 !== null);
      const direct = of("direct");
      const added = (value: (turn: Turn) => number) =>
        spread(own.map((turn, round) => value(turn) - value(direct[round] ?? turn)));
      return {
        name,
        connections: at,
        cpuPer1000: hasCpu ? spread(own.map(cpu)) : null,
        cpuOverInjector: hasCpu ? over("injector", cpu) : null,
        cpuOverNginx: hasCpu ? over("nginx", cpu) : null,
        p50Ms: spread(own.map(p50)),
        p50OverInjector: over("injector", p50) ?? spread([]),
        p50OverNginx: over("nginx", p50),
        p99Ms: spread(own.map(p99)),
        addedP50Ms: added(p50),
        addedP99Ms: added(p99),
        perSecond: spread(own.map((turn) => turn.perSecond)),
      };
    });
  });
}

const cpu = (turn: Turn) => turn.cpuPer1000 ?? Number.NaN;
const p50 = (turn: Turn) => turn.p50Ms;
const p99 = (turn: Turn) => turn.p99Ms;
