import { styleText } from "node:util";
import type { Figures } from "./compare.ts";
import type { Counts } from "./counts.ts";
import type { Growth } from "./growth.ts";
import type { Spread } from "./statistics.ts";
import type { Step } from "./steps.ts";

/** Everything a run found; what `--json` prints. Spreads are over rounds. */
export interface Results {
  mode: string;
  machine: {
    cores: number;
    cpu: string;
    system: string;
    node: string;
    workerd: string;
    upstream: "nginx" | "node";
    load: "wrk" | "node";
    /** Where the gateways keep their state, and the median of a durable write there. */
    stateDir: string;
    durableWriteMs: number;
    /** Why nginx is not among the contenders. */
    nginxMissing?: string;
    /** One minute's, before the run. */
    loadAverage: number;
  };
  rounds: number;
  secondsPerTurn: number;
  figures: Figures[];
  firstByteMs: Record<string, number>;
  memory: Record<string, { calls: number; bytes: number }>;
  counts: Counts;
  growth: Growth;
  steps: Step[];
  tookSeconds: number;
}

type Style = Parameters<typeof styleText>[0];
/** Without colour where stdout is no terminal or NO_COLOR is set (`styleText` sees to it). */
const paint = (style: Style, text: string) => styleText(style, text, { stream: process.stdout });

const number = (value: number) =>
  Number.isNaN(value) ? "–" : value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3);
const wide = ({ median, min, max }: Spread) => `${number(median)} (${number(min)}–${number(max)})`;
const times = ({ median, min, max }: Spread) => `${median.toFixed(2)}× (${min.toFixed(2)}–${max.toFixed(2)})`;
const orNone = (value: Spread | null, show: (value: Spread) => string) =>
  value === null ? "–" : show(value);

/** The results for a terminal of about 120 columns. */
export function showResults(results: Results): string {
  const { machine } = results;
  return [
    paint("bold", "Valetkey bench"),
    `${machine.cores} cores, ${machine.cpu}, ${machine.system}, load ${number(machine.loadAverage)} at the start`,
    `Node ${machine.node}, workerd ${machine.workerd}; upstream: ${machine.upstream}, load: ${machine.load}`,
    `state in ${machine.stateDir}, where a durable write takes ${number(machine.durableWriteMs)} ms (TMPDIR chooses)`,
    ...(machine.nginxMissing === undefined ? [] : [`without nginx: ${machine.nginxMissing}`]),
    `${results.rounds} interleaved rounds, turns of ${results.secondsPerTurn} s; median (min–max) over rounds`,
    ...[...new Set(results.figures.map(({ connections }) => connections))].flatMap((connections) =>
      showFigures(results, connections),
    ),
    "",
    ...showRest(results),
    "",
    ...showRequirements(results),
    "",
    paint("dim", `took ${results.tookSeconds.toFixed(0)} s (${results.mode})`),
  ].join("\n");
}

function showFigures({ figures }: Results, connections: number): string[] {
  const rows = figures
    .filter((figure) => figure.connections === connections)
    .map((figure) => [
      figure.name,
      orNone(figure.cpuPer1000, wide),
      orNone(figure.cpuOverInjector, times),
      wide(figure.p50Ms),
      times(figure.p50OverInjector),
      wide(figure.addedP50Ms),
      wide(figure.p99Ms),
      number(figure.perSecond.median),
    ]);
  const head = [
    "",
    "CPU s/1,000",
    "of injector's",
    "p50 ms",
    "of injector's",
    "added p50 ms",
    "p99 ms",
    "calls/s",
  ];
  return ["", paint("bold", `Concurrency ${connections}`), ...table([head, ...rows])];
}

function showRest({ firstByteMs, memory, counts, growth, steps }: Results): string[] {
  const { cpu, p50, large } = growth;
  const amounts = [large.secrets, large.tokens, large.events].map((amount) => amount.toLocaleString("en"));
  const first = Object.entries(firstByteMs).map(([name, value]) => `${name} ${number(value)}`);
  const resident = Object.entries(memory).map(
    ([name, { bytes, calls }]) =>
      `${name} ${(bytes / 2 ** 20).toFixed(0)} MiB (${calls.toLocaleString("en")})`,
  );
  return [
    `${paint("bold", "First byte of a stream")}, ms: ${first.join(", ")}`,
    `${paint("bold", "Memory")} after so many calls: ${resident.join(", ")}`,
    `${paint("bold", "Counted")} over ${counts.calls} warm calls of one token: ${tally(counts.roundTrips)};`,
    `  rows written ${counts.rowsPerCall.toFixed(2)} a call (${tally(counts.rowsWritten)}); ` +
      `D1 queries ${counts.d1Queries}, KMS calls ${counts.kmsCalls}`,
    `${paint("bold", "Growth")}: a tenant with ${amounts[0]} secrets, ${amounts[1]} tokens, ${amounts[2]} events ` +
      `over one with ${growth.small.secrets}: CPU ${times(cpu)}, p50 ${times(p50)}`,
    ...(steps.length === 0
      ? []
      : ["", paint("bold", "What the CPU is made of, concurrency 1"), ...showSteps(steps)]),
  ];
}

function showSteps(steps: Step[]): string[] {
  let before = 0;
  const rows = steps.map(({ what, cpuPer1000, p50Ms }) => {
    const { median } = cpuPer1000;
    const more = before === 0 ? "" : `${median >= before ? "+" : ""}${(median - before).toFixed(3)}`;
    before = median;
    return [what, wide(cpuPer1000), more, wide(p50Ms)];
  });
  return table([["", "CPU s/1,000", "more", "p50 ms"], ...rows]);
}

/** Told, never judged by an exit code: a busy machine is no defect. */
function showRequirements({ figures, counts, growth }: Results): string[] {
  const at = figures.find(({ name, connections }) => name === "gateway" && connections === 1);
  const charges = (counts.roundTrips["token.charge"] ?? 0) / counts.calls;
  const flat = Math.max(growth.cpu.median, growth.p50.median);
  const rows: [met: boolean, what: string, found: string][] = [
    [
      (at?.cpuOverInjector?.median ?? Infinity) <= 3,
      "CPU ≤ 3× the injector's",
      orNone(at?.cpuOverInjector ?? null, times),
    ],
    [
      (at?.p50OverInjector.median ?? Infinity) <= 3,
      "p50 ≤ 3× the injector's",
      orNone(at?.p50OverInjector ?? null, times),
    ],
    [counts.rowsPerCall <= 1.3, "rows written ≤ 1.3 a call", counts.rowsPerCall.toFixed(2)],
    [charges <= 1, "1 round trip before the upstream", charges.toFixed(2)],
    [
      counts.d1Queries + counts.kmsCalls === 0,
      "no D1 query, no KMS call",
      `${counts.d1Queries}, ${counts.kmsCalls}`,
    ],
    [flat <= 1.15, "growth flat within 15 %", `${((flat - 1) * 100).toFixed(0)} %`],
  ];
  return [
    paint("bold", "Budget, at concurrency 1"),
    ...rows.map(
      ([met, what, found]) =>
        `  ${met ? paint("green", "met ") : paint("yellow", "over")}  ${what.padEnd(34)} ${found}`,
    ),
  ];
}

function tally(counted: Record<string, number>): string {
  return Object.entries(counted)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}

/** Columns as wide as their widest cell; the first one to the left, the others to the right. */
function table(rows: string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row, line) => {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    const text = `  ${cells.join("  ")}`.trimEnd();
    if (line === 0) return paint("dim", text);
    return row[0] === "gateway" || row[0] === "the gateway" ? paint("cyan", text) : text;
  });
}
