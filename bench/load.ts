import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { promisify } from "node:util";
import { z } from "zod";
import { quantile } from "./statistics.ts";

/** GETs of one URL over kept-alive connections, each sending its next request when it has its answer. */
export interface Load {
  url: string;
  headers: Readonly<Record<string, string>>;
  connections: number;
  /** Whole seconds. */
  seconds: number;
}

export interface LoadResult {
  requests: number;
  perSecond: number;
  p50Ms: number;
  /** wrk's counts a pause in full: as if a call had been due all through it (no coordinated omission). */
  p99Ms: number;
  /** Answers that were none, or whose status is above 399. */
  failed: number;
}

export interface LoadGenerator {
  name: "wrk" | "node";
  run(load: Load): Promise<LoadResult>;
}

const WRK = ["/usr/bin/wrk", "/usr/local/bin/wrk", "/opt/homebrew/bin/wrk"];

/** wrk where it is installed: it takes little of the CPU that the servers under test need. */
export async function loadGenerator(dir: string): Promise<LoadGenerator> {
  const wrk = WRK.find((place) => existsSync(place));
  if (wrk === undefined) return { name: "node", run: nodeLoad };
  const script = path.join(dir, "report.lua");
  await writeFile(script, REPORT);
  return { name: "wrk", run: (load) => wrkLoad(wrk, script, load) };
}

const REPORT = `done = function(summary, latency)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"failed":%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
`;

const resultSchema = z.object({
  requests: z.number(),
  microseconds: z.number(),
  p50: z.number(),
  p99: z.number(),
  failed: z.number(),
});

async function wrkLoad(wrk: string, script: string, load: Load): Promise<LoadResult> {
  const headers = Object.entries(load.headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const size = ["-t", "1", "-c", String(load.connections), "-d", `${load.seconds}s`, "--timeout", "10s"];
  const running = promisify(execFile)(wrk, [...size, ...headers, "-s", script, load.url], {
    timeout: (load.seconds + 20) * 1_000,
  });
  const end = () => running.child.kill("SIGKILL");
  process.once("exit", end);
  const { stdout } = await running.finally(() => process.off("exit", end));
  const [, json = ""] = /^RESULT (.*)$/m.exec(stdout) ?? [];
  const { requests, microseconds, p50, p99, failed } = resultSchema.parse(JSON.parse(json));
  return {
    requests,
    perSecond: requests / (microseconds / 1e6),
    p50Ms: p50 / 1_000,
    p99Ms: p99 / 1_000,
    failed,
  };
}

async function nodeLoad(load: Load): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: load.connections });
  const times: number[] = [];
  let failed = 0;
  const startedAt = performance.now();
  const until = startedAt + load.seconds * 1_000;
  const client = async () => {
    while (performance.now() < until) {
      const before = performance.now();
      const status = await get(agent, load.url, load.headers);
      times.push(performance.now() - before);
      if (status > 399) failed += 1;
    }
  };
  await Promise.all(Array.from({ length: load.connections }, client));
  const perSecond = times.length / ((performance.now() - startedAt) / 1_000);
  agent.destroy();
  return {
    requests: times.length,
    perSecond,
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    failed,
  };
}

/** The status, or 599 where there was no answer. */
function get(agent: Agent, url: string, headers: Load["headers"]): Promise<number> {
  return new Promise((resolve) => {
    const outgoing = request(url, { agent, headers: { ...headers }, timeout: 10_000 }, (response) => {
      response.resume();
      response.once("error", () => resolve(599));
      response.once("end", () => resolve(response.statusCode ?? 599));
    });
    outgoing.once("timeout", () => outgoing.destroy(new Error("no answer within 10 s")));
    outgoing.once("error", () => resolve(599));
    outgoing.end();
  });
}
