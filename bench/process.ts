import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { median } from "./statistics.ts";

const ticksPerSecond = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/** User and system time of a process, all its threads, since it began: seconds, to a hundredth (proc(5)). */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The second field is the program's name in parentheses, which may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** Resident memory in bytes. */
export function residentBytes(pid: number): number {
  const [, kibibytes = "0"] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kibibytes) * 1024;
}

const WRITES = 200;

/** Milliseconds of one durable write of a page in a directory, the median: what every recorded call waits for. */
export function durableWriteMs(directory: string): number {
  const file = openSync(path.join(directory, "durable-write"), "w");
  try {
    const page = Buffer.alloc(4_096, 1);
    const times = Array.from({ length: WRITES }, (_, at) => {
      const startedAt = performance.now();
      writeSync(file, page, 0, page.length, at * page.length);
      fsyncSync(file);
      return performance.now() - startedAt;
    });
    return median(times);
  } finally {
    closeSync(file);
  }
}

export interface Running {
  pid: number;
  /** Resolves when the process is gone. */
  stop(): Promise<void>;
}

/**
 * Starts a program that ends with this process, however this process ends: on a normal exit by a signal, after a
 * SIGKILL by a shell that waits for the end of its input. Its complaints go to our stderr.
 */
export async function startProgram(command: string, args: readonly string[]): Promise<Running> {
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "inherit"] });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", reject);
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${command} did not start`);
  const release = endWithUs(child, pid);
  void exited.then(release);
  return {
    pid,
    async stop() {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 1_000);
      await exited;
      clearTimeout(timer);
    },
  };
}

function endWithUs(child: ChildProcess, pid: number): () => void {
  const onExit = () => child.kill("SIGKILL");
  process.once("exit", onExit);
  const guard = spawn("/bin/sh", ["-c", 'trap "" INT TERM HUP; read -r _; kill -9 "$0"', String(pid)], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  guard.on("error", () => undefined);
  guard.stdin.on("error", () => undefined);
  guard.unref();
  return () => {
    process.off("exit", onExit);
    guard.kill("SIGKILL");
  };
}
