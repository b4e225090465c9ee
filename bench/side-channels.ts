import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { startGateway } from "../test/support/gateway.ts";
import { type Difference, difference } from "./distributions.ts";
import { type Family, type Kind, makeFamilies } from "./side-channel-cases.ts";
import { quantile } from "./statistics.ts";

const USAGE = `node bench/side-channels.ts [options]

  --samples N  of every kind (10000)
  --quick      2,000 of every kind
  --json       the numbers, as JSON on stdout

What refusals tell by how long they take. All kinds are asked one after the other over one connection, in another order
each round; each kind's times are compared with those of the first of its family, as distributions. The line "itself"
compares the first with itself: what is no larger than that is noise.`;

/** One kind's times against its family's first. */
interface Comparison {
  readonly family: string;
  readonly kind: string;
  readonly against: string;
  /** Status, header names and body are the same, but for ids and the name that was asked for. */
  readonly sameAnswer: boolean;
  readonly status: number;
  readonly medianMicroseconds: number;
  readonly p99Microseconds: number;
  /** In microseconds. */
  readonly difference: Difference;
  readonly tells: string;
  /** A difference where there must be none. */
  readonly reveals: boolean;
}

/** So unlikely that nothing of the kind should happen by chance in a run. */
const BY_CHANCE = 1e-4;
/** A distance of the distributions that somebody on a network could make something of. */
const NOTICEABLE = 0.1;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      samples: { type: "string" },
      quick: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const samples = Number(values.samples ?? (values.quick ? 2_000 : 10_000));
  if (!(samples >= 50 && samples <= 1_000_000)) {
    console.error(USAGE);
    return 2;
  }
  const dir = await mkdtemp(path.join(tmpdir(), "valetkey-bench-"));
  process.env["TMPDIR"] = dir;
  process.once("exit", () => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));
  const gateway = await startGateway();
  try {
    const families = await makeFamilies(gateway);
    const comparisons = await compareAll(gateway.url, families, samples);
    console.log(values.json ? JSON.stringify({ samples, comparisons }, null, 2) : table(comparisons));
    return 0;
  } finally {
    await gateway.stop();
  }
}

interface Answer {
  readonly status: number;
  /** Without what differs between any two. */
  readonly shape: string;
  readonly microseconds: number;
}

async function compareAll(
  url: string,
  families: readonly Family[],
  samples: number,
): Promise<readonly Comparison[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  // The first of each family twice: the second one is what "itself" is.
  const asked = families.flatMap(({ kinds }) => [kinds[0]!, ...kinds]);
  const times = asked.map((): number[] => []);
  const first: Answer[] = [];
  try {
    const warmUp = Math.ceil(samples / 10);
    for (let round = -warmUp; round < samples; round += 1) {
      for (const index of shuffled(asked.length)) {
        const answer = await ask(agent, url, asked[index]!);
        if (round < 0) first[index] = answer;
        else times[index]!.push(answer.microseconds);
      }
    }
  } finally {
    agent.destroy();
  }
  let start = 0;
  return families.flatMap((family) => {
    const base = start;
    start += family.kinds.length + 1;
    return family.kinds.map((kind, at): Comparison => {
      const index = base + 1 + at;
      const apart = difference(times[index]!, times[base]!);
      const sameAnswer = first[index]?.shape === first[base]?.shape;
      const isApart = apart.probability < BY_CHANCE && apart.distance > NOTICEABLE;
      return {
        family: family.what,
        kind: at === 0 ? `${kind.name} (itself)` : kind.name,
        against: family.kinds[0]!.name,
        sameAnswer,
        status: first[index]?.status ?? 0,
        medianMicroseconds: quantile(times[index]!, 0.5),
        p99Microseconds: quantile(times[index]!, 0.99),
        difference: apart,
        tells: isApart ? (kind.tells ?? family.tells) : "",
        reveals: !sameAnswer || (family.mustNotDiffer && isApart),
      };
    });
  });
}

/** 0 to `length` − 1, in any order: what comes before a question must not be what makes it slow. */
function shuffled(length: number): number[] {
  const order = Array.from({ length }, (_, at) => at);
  for (let at = length - 1; at > 0; at -= 1) {
    const other = Math.floor(Math.random() * (at + 1));
    [order[at], order[other]] = [order[other]!, order[at]!];
  }
  return order;
}

function ask(agent: Agent, url: string, { target, credential }: Kind): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${credential}` };
    const outgoing = request(url + target, { agent, headers, timeout: 10_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", reject);
      response.once("end", () => {
        const microseconds = (performance.now() - startedAt) * 1_000;
        const { statusCode: status = 0 } = response;
        resolve({ status, microseconds, shape: shapeOf(response.headers, chunks, status, target) });
      });
    });
    outgoing.once("timeout", () => outgoing.destroy(new Error("no answer within 10 s")));
    outgoing.once("error", reject);
    const startedAt = performance.now();
    outgoing.end();
  });
}

function shapeOf(
  headers: Readonly<Record<string, unknown>>,
  chunks: readonly Buffer[],
  status: number,
  target: string,
): string {
  const { request_id: _id, instance: _instance, ...body } = JSON.parse(Buffer.concat(chunks).toString());
  let text = JSON.stringify([status, Object.keys(headers), body]);
  for (const name of target.split("/").filter((part) => part.length > 2)) text = text.replaceAll(name, "…");
  return text;
}

function table(comparisons: readonly Comparison[]): string {
  const micro = (value: number) => value.toFixed(0);
  const head = ["asked", "answer", "median µs", "p99 µs", "Δ median", "KS D", "p", "above", ""];
  const rows = comparisons.flatMap((comparison, at) => {
    const { family, kind, status, sameAnswer, difference: apart, tells, reveals } = comparison;
    const row = [
      `  ${kind}`,
      sameAnswer ? `${status}, the same` : `${status}, ANOTHER`,
      micro(comparison.medianMicroseconds),
      micro(comparison.p99Microseconds),
      `${apart.medians >= 0 ? "+" : ""}${micro(apart.medians)}`,
      apart.distance.toFixed(3),
      apart.probability < BY_CHANCE ? `<${BY_CHANCE}` : apart.probability.toFixed(3),
      apart.above.toFixed(3),
      `${reveals ? "REVEALS " : ""}${tells === "" ? "" : `tells ${tells}`}`,
    ];
    return comparisons[at - 1]?.family === family ? [row] : [[family], row];
  });
  const widths = head.map((name, at) =>
    Math.max(name.length, ...rows.map((row) => (row.length === 1 ? 0 : (row[at]?.length ?? 0)))),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, at) => (at < 2 || at === 8 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!)))
      .join("  ")
      .trimEnd();
  return [head, ...rows].map(line).join("\n");
}

process.exit(await main());
