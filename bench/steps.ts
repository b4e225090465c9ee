import path from "node:path";
import { startGateway } from "../test/support/gateway.ts";
import { type Contender, see, startBenchGateway, type Surroundings } from "./contenders.ts";
import { measure, type RoundOptions } from "./rounds.ts";
import { type Spread, spread } from "./statistics.ts";

/** Of `worker/steps.ts`, in its order; "gateway" is the whole of it. */
const STEPS: readonly (readonly [step: string, what: string])[] = [
  ["bare", "the bare injector"],
  ["hmac", "+ one HMAC"],
  ["decrypt", "+ decrypt with the data key at hand"],
  ["redact", "+ search headers and body for the credential"],
  ["rpc", "+ ask a Durable Object"],
  ["write", "+ it writes, durably"],
];

export interface Step {
  what: string;
  cpuPer1000: Spread;
  p50Ms: Spread;
}

/** What a call's CPU is made of: workers that each do one thing more than the one before, and the gateway. */
export async function measureSteps(
  surroundings: Surroundings,
  options: Omit<RoundOptions, "connections">,
): Promise<Step[]> {
  const { upstream, credential } = surroundings;
  const entry = path.join(import.meta.dirname, "worker/steps.ts");
  const contenders: Contender[] = [];
  try {
    for (const [step] of STEPS) {
      const bindings = { STEP: step, UPSTREAM: upstream.url, CREDENTIAL: credential };
      const { url, pid, stop } = await startGateway({ entry, bindings });
      const headers = { authorization: `Bearer ${"x".repeat(100)}` };
      contenders.push({ name: step, url, headers, pid, stop });
    }
    contenders.push(await startBenchGateway("gateway", surroundings));
    for (const contender of contenders) await see(contender);
    const turns = await measure(contenders, { ...options, connections: [1] });
    return [...STEPS, ["gateway", "the gateway"] as const].map(([name, what]) => {
      const own = turns.get(name) ?? [];
      return {
        what,
        cpuPer1000: spread(own.map((turn) => turn.cpuPer1000 ?? Number.NaN)),
        p50Ms: spread(own.map((turn) => turn.p50Ms)),
      };
    });
  } finally {
    for (const contender of contenders) await contender.stop();
  }
}
