import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";
import { performance } from "node:perf_hooks";
import type { Readable } from "node:stream";
import { createInterface } from "node:readline";
import { bindingVariable, prepare, writeConfig } from "./image.ts";

/** The package ships no types; its default export is the path of the platform's binary. */
const { default: workerdBinary }: { default: string } = createRequire(import.meta.url)("workerd");

const LOG_CHARACTERS = 16_000_000;

export interface ServeOptions {
  stateDir: string;
  /** Ports on 127.0.0.1; each leads to the worker. */
  ports: number[];
  /** Texts in the worker's `env`, over wrangler.toml's vars. */
  bindings: Record<string, string>;
  /** Do not pass on what workerd and the worker print. */
  quiet?: boolean;
  /** Another worker than wrangler.toml's `main`. */
  entry?: string;
}

export interface Served {
  readonly pid: number;
  /** From the spawn until every port listened, milliseconds. */
  readonly startedInMs: number;
  /** Everything printed so far, unfiltered (the last 8 million characters at least). */
  logs(): string;
  /** SIGTERM, SIGKILL after a second; resolves when the process is gone. */
  stop(): Promise<void>;
  /** SIGKILL, as a crash would; resolves when the process is gone. What was acknowledged is on disk. */
  kill(): Promise<void>;
  /** Stops it if it runs and starts it again on the same ports and data, with other bindings if given. */
  restart(bindings?: Record<string, string>): Promise<void>;
  /** Resolves when the process ends without `stop`, `kill` or `restart` having asked for it. */
  readonly crashed: Promise<string>;
}

/** Prepares the state directory (bundle, migrations) and serves it. */
export async function serve(options: ServeOptions): Promise<Served> {
  await prepare(options);
  return start(options);
}

/** Serves a prepared state directory with plain workerd; resolves when every port listens. */
export async function start(options: ServeOptions): Promise<Served> {
  let crash: (how: string) => void = () => undefined;
  const crashed = new Promise<string>((resolve) => {
    crash = resolve;
  });
  let bindings = options.bindings;
  let log = "";
  const print = (line: string) => {
    log = `${log.length > LOG_CHARACTERS ? log.slice(-LOG_CHARACTERS / 2) : log}${line}\n`;
    if (options.quiet !== true && !isNoise(line)) process.stderr.write(`${line}\n`);
  };
  let running = await launch(options, bindings, print, crash);
  return {
    get pid() {
      return running.pid;
    },
    get startedInMs() {
      return running.startedInMs;
    },
    logs: () => log,
    stop: () => running.end("SIGTERM"),
    kill: () => running.end("SIGKILL"),
    async restart(changed) {
      await running.end("SIGTERM");
      bindings = { ...bindings, ...changed };
      running = await launch(options, bindings, print, crash);
    },
    crashed,
  };
}

interface Running {
  pid: number;
  startedInMs: number;
  end(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
}

async function launch(
  options: ServeOptions,
  bindings: Record<string, string>,
  print: (line: string) => void,
  crash: (how: string) => void,
): Promise<Running> {
  const config = await writeConfig(options.stateDir, options.ports, Object.keys(bindings));
  const startedAt = performance.now();
  const child = spawn(workerdBinary, ["serve", "--experimental", "--control-fd=3", config], {
    cwd: path.dirname(config),
    env: {
      TZ: "UTC",
      ...Object.fromEntries(Object.entries(bindings).map(([name, value]) => [bindingVariable(name), value])),
    },
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  const early: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on("line", (line) => {
      if (early.length < 20) early.push(line);
      print(line);
    });
  }
  const exited = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`workerd did not start: ${await exited}`);
  let asked = false;
  const release = endWithParent(child, pid);
  void exited.then((how) => {
    release();
    if (!asked) crash(how);
  });
  const end = async (signal: "SIGTERM" | "SIGKILL") => {
    asked = true;
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), 1_000);
    await exited;
    clearTimeout(timer);
  };
  const outcome = await Promise.race([listening(child, options.ports.length), exited]);
  if (outcome !== undefined) {
    await end("SIGKILL");
    throw new Error(
      `workerd did not start (${outcome}): ${early.filter((line) => !isNoise(line)).join(" | ")}`,
    );
  }
  return { pid, startedInMs: performance.now() - startedAt, end };
}

/** Resolves when workerd has reported as many listening sockets as there are ports; 20 s at most. */
function listening(child: ChildProcess, sockets: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve("not listening after 20 s"), 20_000);
    let seen = 0;
    const control = child.stdio[3] as Readable;
    createInterface({ input: control }).on("line", (line) => {
      if (!line.includes('"listen"')) return;
      seen += 1;
      if (seen < sockets) return;
      clearTimeout(timer);
      resolve(undefined);
    });
    child.once("exit", () => clearTimeout(timer));
  });
}

/**
 * Lets the child end with this process, however this process ends: on a normal exit by a signal, after a SIGKILL by
 * a shell that waits for the end of its input, which the kernel closes with us. Answers with what calls that off.
 */
function endWithParent(child: ChildProcess, pid: number): () => void {
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

/** Lines that tell a reader nothing: native stacks, and clients or upstreams that went away. */
function isNoise(line: string): boolean {
  return (
    line.trim() === "" ||
    /^\s*stack: /.test(line) ||
    /became the default as of .* does not need to be specified/.test(line) ||
    /(disconnected: |Broken pipe|Connection reset by peer|Network connection lost)/.test(line)
  );
}
