import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { createRequire } from "node:module";
import { cpus, loadavg, platform, release, tmpdir } from "node:os";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { compare } from "./compare.ts";
import { startContenders } from "./contenders.ts";
import { countCosts } from "./counts.ts";
import { measureGrowth, startGrown } from "./growth.ts";
import { type LoadGenerator, loadGenerator } from "./load.ts";
import { measureMemory } from "./memory.ts";
import { nginxProgram } from "./nginx.ts";
import { durableWriteMs } from "./process.ts";
import { type Options, parseOptions, USAGE } from "./options.ts";
import { type Results, showResults } from "./report.ts";
import { measure, type RoundOptions } from "./rounds.ts";
import { measureSteps } from "./steps.ts";
import { measureFirstBytes } from "./stream.ts";
import { type BenchUpstream, startBenchUpstream } from "./upstream.ts";

const CONNECTIONS = [1, 16];

/** `npm run bench`: exit code 0 whatever the numbers are; 1 where they could not be measured, 2 on a wrong argument. */
async function main(args: string[]): Promise<number> {
  let options: Options | null;
  try {
    options = parseOptions(args);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return 2;
  }
  if (options === null) {
    console.log(USAGE);
    return 0;
  }
  if (platform() !== "linux") {
    console.error("bench: CPU and memory are read from Linux's /proc, which is not here");
    return 1;
  }
  const stateDir = tmpdir();
  const dir = await mkdtemp(path.join(stateDir, "valetkey-bench-"));
  // Whatever is started below keeps its files in here: they all go when this process does, however it is told to.
  process.env["TMPDIR"] = dir;
  process.once("exit", () => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));
  // One listener for every server that runs.
  process.setMaxListeners(64);
  try {
    const results = await bench(options, dir, stateDir);
    console.log(options.json ? JSON.stringify(results, null, 2) : showResults(results));
    return 0;
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
}

async function bench(options: Options, dir: string, stateDir: string): Promise<Results> {
  const startedAt = performance.now();
  const nginx = nginxProgram();
  const load = await loadGenerator(dir);
  const machine = describeMachine(load);
  const writeMs = durableWriteMs(dir);
  const credential = `sk_bench_${randomBytes(16).toString("hex")}`;
  const upstream: BenchUpstream = await startBenchUpstream({ dir, credential, nginx });
  const surroundings = { dir, upstream, credential };
  const rounds = (
    what: string,
    more: { rounds: number; seconds: number },
  ): Omit<RoundOptions, "connections"> => ({
    load,
    ...more,
    onTurn: (done, all) => progress(`${what}: turn ${done} of ${all}`),
  });
  try {
    progress("starting the contenders");
    const contenders = await startContenders(surroundings);
    let measured: Pick<Results, "figures" | "firstByteMs" | "memory">;
    try {
      const turns = await measure(contenders, { ...rounds("rounds", options), connections: CONNECTIONS });
      const memory = await measureMemory(contenders, turns, options.memoryCalls, load);
      progress("streams");
      const first = await measureFirstBytes(contenders, options.streamSamples);
      measured = {
        figures: compare(turns, CONNECTIONS),
        firstByteMs: Object.fromEntries(first),
        memory: Object.fromEntries(memory),
      };
    } finally {
      for (const contender of contenders) await contender.stop();
    }
    progress("counting rows and round trips; filling the large tenant");
    const [counts, grown] = await Promise.all([
      countCosts(surroundings),
      startGrown(surroundings, options.growth.amounts),
    ]);
    const growth = await measureGrowth(
      grown,
      rounds("growth", { rounds: options.growth.rounds, seconds: 1 }),
    );
    const steps =
      options.steps.rounds === 0
        ? []
        : await measureSteps(surroundings, rounds("steps", { rounds: options.steps.rounds, seconds: 1 }));
    return {
      mode: options.mode,
      machine: {
        ...machine,
        stateDir,
        durableWriteMs: writeMs,
        upstream: upstream.kind,
        ...(nginx === undefined ? { nginxMissing: "no nginx on this machine (Debian: nginx-light)" } : {}),
      },
      rounds: options.rounds,
      secondsPerTurn: options.seconds,
      ...measured,
      counts,
      growth,
      steps,
      tookSeconds: (performance.now() - startedAt) / 1_000,
    };
  } finally {
    progress("");
    await upstream.stop();
  }
}

function describeMachine(
  load: LoadGenerator,
): Omit<Results["machine"], "upstream" | "stateDir" | "durableWriteMs"> {
  const { default: workerd }: { default: string } = createRequire(import.meta.url)("workerd");
  const processors = cpus();
  return {
    cores: processors.length,
    cpu: processors[0]?.model.trim() ?? "unknown processor",
    system: `${platform()} ${release()}`,
    node: process.versions.node,
    workerd: execFileSync(workerd, ["--version"], { encoding: "utf8" })
      .trim()
      .replace(/^workerd /, ""),
    load: load.name,
    loadAverage: loadavg()[0] ?? Number.NaN,
  };
}

/** One line on a terminal's stderr that each next one replaces. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[2K${text}`);
}

process.exit(await main(process.argv.slice(2)));
