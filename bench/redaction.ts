import { createHash, randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { type BodyKind, bodyKinds, startBodyServer } from "./bodies.ts";
import { type Contender, startBenchGateway, startInjector, startPump } from "./contenders.ts";
import { cpuSeconds } from "./process.ts";
import { ratios, type Spread, spread } from "./statistics.ts";

const USAGE = `node bench/redaction.ts [options]

  --rounds N      interleaved rounds (7)
  --megabytes N   size of a body (64)
  --only text     kinds of bodies whose name has this in it
  --json          the numbers, as JSON on stdout

How fast large bodies come through the gateway, searched for the credential and for credentials of known shapes, and
how fast through a worker that only attaches the credential and passes the body on: unread, by the platform itself, and
through the gateway's own pump with nothing looked for. The floor is half of the latter.`;

interface Sample {
  readonly megabytesPerSecond: number;
  readonly cpuSeconds: number;
}

/** Unredacted pass-through, by the platform and by our own pump; and the gateway. */
const NAMES = ["injector", "pump", "gateway"] as const;
type Name = (typeof NAMES)[number];

interface Figure {
  readonly body: string;
  /** Megabytes (10^6 bytes) a second, end to end. */
  readonly rates: Readonly<Record<Name, Spread>>;
  /** The gateway's share of the others', round by round. The floor is 0.5 of the pump's. */
  readonly ratio: { readonly injector: Spread; readonly pump: Spread };
  /** CPU seconds of the process a gigabyte. */
  readonly cpu: Readonly<Record<Name, number>>;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "7" },
      megabytes: { type: "string", default: "64" },
      only: { type: "string", default: "" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const [rounds, megabytes] = [Number(values.rounds), Number(values.megabytes)];
  if (!(rounds >= 1 && rounds <= 100) || !(megabytes >= 1 && megabytes <= 1024)) {
    console.error(USAGE);
    return 2;
  }
  const dir = await mkdtemp(path.join(tmpdir(), "valetkey-bench-"));
  process.env["TMPDIR"] = dir;
  process.once("exit", () => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));
  const figures = await measure({ dir, rounds, megabytes, only: values.only });
  console.log(values.json ? JSON.stringify({ rounds, megabytes, figures }, null, 2) : table(figures));
  return 0;
}

async function measure(options: {
  dir: string;
  rounds: number;
  megabytes: number;
  only: string;
}): Promise<readonly Figure[]> {
  const kinds = bodyKinds().filter(({ name }) => name.includes(options.only));
  const credential = `sk_bench_${randomBytes(16).toString("hex")}`;
  const upstream = await startBodyServer(kinds, credential);
  const started: Contender[] = [];
  try {
    const surroundings = { dir: options.dir, upstream, credential };
    started.push(await startInjector(surroundings));
    started.push(await startPump(surroundings));
    started.push(await startBenchGateway("gateway", surroundings));
    const samples = new Map<string, Sample[]>();
    for (let round = -1; round < options.rounds; round += 1) {
      for (const [index, kind] of kinds.entries()) {
        const repeats = Math.max(1, Math.round((options.megabytes * 1e6) / kind.unit.length));
        for (const contender of round % 2 === 0 ? started : started.toReversed()) {
          // The first round is not counted: it warms up, and looks whether the body is what was sent.
          if (round < 0) await see(contender, kind, index);
          const sample = await take(contender, `/${index}/${repeats}`, kind.unit.length * repeats);
          if (round < 0) continue;
          const key = `${contender.name} ${kind.name}`;
          samples.set(key, [...(samples.get(key) ?? []), sample]);
        }
      }
    }
    return kinds.map(({ name }) => {
      const of = (contender: Name) => samples.get(`${contender} ${name}`) ?? [];
      const rate = (contender: Name) => of(contender).map(({ megabytesPerSecond }) => megabytesPerSecond);
      const cpu = (contender: Name) =>
        of(contender).reduce((sum, sample) => sum + sample.cpuSeconds, 0) /
        ((options.megabytes / 1_000) * options.rounds);
      return {
        body: name,
        rates: byName((contender) => spread(rate(contender))),
        ratio: {
          injector: ratios(rate("gateway"), rate("injector")),
          pump: ratios(rate("gateway"), rate("pump")),
        },
        cpu: byName(cpu),
      };
    });
  } finally {
    for (const contender of started) await contender.stop();
    await upstream.stop();
  }
}

/** A clean body must come through byte for byte. */
async function see(contender: Contender, kind: BodyKind, index: number): Promise<void> {
  const response = await fetch(`${contender.url}/${index}/2`, {
    headers: contender.headers,
    signal: AbortSignal.timeout(30_000),
  });
  const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
  const received = Buffer.from(await response.arrayBuffer());
  if (response.status === 200 && digest(received) === digest(Buffer.concat([kind.unit, kind.unit]))) return;
  throw new Error(`${contender.name} answered ${response.status} with another body of ${kind.name}`);
}

/** One body over one connection, its bytes counted and let go. */
async function take(contender: Contender, target: string, expected: number): Promise<Sample> {
  const url = new URL(contender.url + target);
  const cpuBefore = contender.pid === null ? 0 : cpuSeconds(contender.pid);
  const startedAt = performance.now();
  const received = await download(url, contender.headers);
  const seconds = (performance.now() - startedAt) / 1_000;
  if (received < expected) throw new Error(`${contender.name}: ${received} bytes of ${expected} arrived`);
  return {
    megabytesPerSecond: expected / 1e6 / seconds,
    cpuSeconds: contender.pid === null ? 0 : cpuSeconds(contender.pid) - cpuBefore,
  };
}

function download(url: URL, headers: Contender["headers"]): Promise<number> {
  return new Promise((resolve, reject) => {
    let received = 0;
    const socket = connect({
      host: url.hostname,
      port: Number(url.port),
      onread: {
        buffer: Buffer.alloc(256 * 1024),
        callback(bytes) {
          received += bytes;
          return true;
        },
      },
    });
    const lines = Object.entries({ host: url.host, connection: "close", ...headers });
    socket.setTimeout(120_000, () => socket.destroy(new Error("nothing came for two minutes")));
    socket.once("error", reject);
    socket.once("close", () => resolve(received));
    socket.write(
      `GET ${url.pathname} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`,
    );
  });
}

function byName<T>(of: (name: Name) => T): Record<Name, T> {
  return { injector: of("injector"), pump: of("pump"), gateway: of("gateway") };
}

function table(figures: readonly Figure[]): string {
  const share = ({ median, min, max }: Spread) =>
    `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`;
  const rows = figures.map(({ body, rates, ratio, cpu }) => [
    body,
    ...NAMES.map((name) => rates[name].median.toFixed(0)),
    share(ratio.injector),
    share(ratio.pump),
    ...NAMES.map((name) => cpu[name].toFixed(2)),
  ]);
  const head = [
    "body",
    ...NAMES.map((name) => `${name} MB/s`),
    "of injector",
    "of pump",
    ...NAMES.map((name) => `${name} CPU s/GB`),
  ];
  const widths = head.map((name, at) => Math.max(name.length, ...rows.map((row) => row[at]?.length ?? 0)));
  return [head, ...rows]
    .map((row) =>
      row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join("  "),
    )
    .join("\n");
}

process.exit(await main());
