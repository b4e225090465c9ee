import { see, startBenchGateway, type Surroundings } from "./contenders.ts";
import { type Amounts, fillTenant } from "./fill.ts";
import { measure, type RoundOptions } from "./rounds.ts";
import { ratios, type Spread } from "./statistics.ts";

export interface Growth {
  small: Amounts;
  large: Amounts;
  /** The large tenant's calls over the small one's, at one connection. */
  cpu: Spread;
  p50: Spread;
}

type BenchGateway = Awaited<ReturnType<typeof startBenchGateway>>;

/** Two gateways, each with one tenant. */
export interface Grown {
  small: BenchGateway;
  large: BenchGateway;
  amounts: Amounts;
}

const SMALL: Amounts = { secrets: 10, tokens: 10, events: 10 };

/** A gateway with a small tenant and one with a large one, up and warm. Filling the large one takes its time. */
export async function startGrown(surroundings: Surroundings, amounts: Amounts): Promise<Grown> {
  const [small, large] = await Promise.all([
    startBenchGateway("small", surroundings),
    startBenchGateway("large", surroundings),
  ]);
  await fill(small, SMALL);
  await fill(large, amounts);
  return { small, large, amounts };
}

async function fill(contender: BenchGateway, amounts: Amounts): Promise<void> {
  await see(contender);
  await contender.gateway.kill();
  fillTenant(contender.gateway.stateDir, amounts);
  await contender.gateway.restart();
  await see(contender);
}

/** The same call in the small tenant and in the large one, side by side; both are stopped afterwards. */
export async function measureGrowth(
  { small, large, amounts }: Grown,
  options: Omit<RoundOptions, "connections">,
): Promise<Growth> {
  try {
    const turns = await measure([small, large], { ...options, connections: [1] });
    const of = (name: string) => turns.get(name) ?? [];
    const cpu = (name: string) => of(name).map((turn) => turn.cpuPer1000 ?? Number.NaN);
    const p50 = (name: string) => of(name).map((turn) => turn.p50Ms);
    return {
      small: SMALL,
      large: amounts,
      cpu: ratios(cpu("large"), cpu("small")),
      p50: ratios(p50("large"), p50("small")),
    };
  } finally {
    await small.stop();
    await large.stop();
  }
}
