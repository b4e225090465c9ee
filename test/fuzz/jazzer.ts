import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";

const HERE = import.meta.dirname;
/** Bundles, what the fuzzer learnt, and inputs that broke a property; kept from run to run. */
const WORK = join(tmpdir(), "valetkey-fuzz");
const MAX_INPUT_BYTES = 600;
/** One input that takes longer hangs. */
const HANG_SECONDS = 5;

export interface Finding {
  readonly message: string;
  /** Base64. */
  readonly input: string;
  readonly file: string;
}

export interface Report {
  readonly target: string;
  readonly runs: number;
  /** Edges of the bundle that were reached. */
  readonly coverage: number;
  /** Edges by how often, and comparisons by how close. */
  readonly features: number;
  readonly finding: Finding | null;
}

export type Engine =
  | { readonly loads: true; readonly cli: string }
  | { readonly loads: false; readonly reason: string };

/** Jazzer.js, or why it does not load: its native part is prebuilt for some platforms and C libraries only. */
export function engineOf(): Engine {
  // A copy elsewhere, made to fit an older C library say, can be named.
  const cli =
    process.env["JAZZER_CLI"] ?? createRequire(import.meta.url).resolve("@jazzer.js/core/dist/cli.js");
  const probe = spawnSync(
    process.execPath,
    ["-e", `require("module").createRequire(process.argv[1])("@jazzer.js/fuzzer")`, cli],
    {
      encoding: "utf8",
    },
  );
  if (probe.status === 0) return { loads: true, cli };
  return { loads: false, reason: /^Error: (.*)$/m.exec(probe.stderr)?.[1] ?? `exit code ${probe.status}` };
}

export function targetNames(): string[] {
  return readdirSync(join(HERE, "targets")).map((file) => file.replace(/\.ts$/, ""));
}

/** Each target as one CommonJS file, which is what Jazzer.js instruments. */
export async function bundleTargets(names: readonly string[]): Promise<void> {
  await build({
    entryPoints: names.map((name) => join(HERE, "targets", `${name}.ts`)),
    outdir: join(WORK, "bundles"),
    outExtension: { ".js": ".cjs" },
    bundle: true,
    platform: "node",
    format: "cjs",
    logLevel: "error",
  });
}

/** Fuzzes one target until a property breaks or the time is over. */
export async function fuzzTarget(cli: string, target: string, seconds: number): Promise<Report> {
  const learnt = join(WORK, "corpus", target);
  const findings = join(WORK, "findings");
  for (const folder of [learnt, findings]) mkdirSync(folder, { recursive: true });
  const bundle = join(WORK, "bundles", `${target}.cjs`);
  const jazzer = [cli, bundle, learnt, join(HERE, "corpus", target), "--sync"];
  const instrument = ["--includes", bundle, "--disableBugDetectors", ".*"];
  const limits = [`-max_total_time=${seconds}`, `-max_len=${MAX_INPUT_BYTES}`, `-timeout=${HANG_SECONDS}`];
  const output = ["-print_final_stats=1", `-artifact_prefix=${findings}/${target}-`];
  const child = spawn(process.execPath, [...jazzer, ...instrument, "--", ...limits, ...output], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => (log += text));
  }
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return reportOf(target, log, exitCode);
}

function reportOf(target: string, log: string, exitCode: number | null): Report {
  const progress = [...log.matchAll(/^#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+)/gm)].at(-1) ?? [];
  const [, runs = "0", coverage = "0", features = "0"] = progress;
  const executed = /stat::number_of_executed_units:\s*(\d+)/.exec(log)?.[1] ?? runs;
  const counts = { target, runs: Number(executed), coverage: Number(coverage), features: Number(features) };
  if (exitCode === 0) return { ...counts, finding: null };
  const file = /Test unit written to (\S+)/.exec(log)?.[1];
  if (file === undefined)
    throw new Error(`the fuzzer ended with ${exitCode} and no input:\n${log.slice(-2_000)}`);
  const message = /Uncaught Exception: (.*)/.exec(log)?.[1] ?? /SUMMARY: (.*)/.exec(log)?.[1] ?? "unknown";
  return { ...counts, finding: { message, input: readFileSync(file).toString("base64"), file } };
}
