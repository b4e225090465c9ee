import { rmSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { prepare } from "../../local/image.ts";
import { freePorts } from "../../local/ports.ts";
import { loadKeys } from "../../local/state.ts";
import { start } from "../../local/workerd.ts";
import { placesWithSecrets } from "./canary.ts";

export interface GatewayOptions {
  /** Over the defaults below. */
  bindings?: Record<string, string>;
  /** Default: one free port. */
  ports?: number[];
  /** Connection slugs that get a port of their own (binding HOSTS): see `hosts` of the answer. */
  hosts?: string[];
  /** Default: a fresh one, removed at `stop`. One of an earlier gateway goes on with its data. */
  stateDir?: string;
  /** Another worker than src/index.ts; it is bundled for this gateway alone. */
  entry?: string;
}

export interface Gateway {
  /** `http://127.0.0.1:port`, the first port. */
  url: string;
  ports: number[];
  /** Slug → `http://127.0.0.1:port` of its own port. */
  hosts: Record<string, string>;
  bootstrapCredential: string;
  stateDir: string;
  /** From spawn to listening, milliseconds. */
  readonly startedInMs: number;
  readonly pid: number;
  /** All that workerd and the worker printed. */
  logs(): string;
  /** Stops it if it runs and starts it again with the same data, keys and ports; bindings are merged over. */
  restart(bindings?: Record<string, string>): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /**
   * Ends it, and removes the state directory if it was made here. Throws where a secret that a test stored stands in
   * what the gateway wrote to disk or printed.
   */
  stop(): Promise<void>;
}

/** A gateway on plain workerd, production-like but for what development allows (private upstreams, http). */
export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const stateDir = options.stateDir ?? (await mkdtemp(path.join(tmpdir(), "valetkey-test-")));
  const keys = await loadKeys(stateDir);
  if (options.entry !== undefined) await prepare({ stateDir, entry: options.entry });
  else if (options.stateDir === undefined) await cp(await templateDir(), stateDir, { recursive: true });
  else await cp(path.join(await templateDir(), "build"), path.join(stateDir, "build"), { recursive: true });

  const slugs = options.hosts ?? [];
  const main = options.ports ?? (await freePorts(1));
  const own = await freePorts(slugs.length);
  const url = `http://127.0.0.1:${main[0]}`;
  const served = await start({
    stateDir,
    ports: [...main, ...own],
    quiet: true,
    bindings: {
      ENVIRONMENT: "development",
      PRIVATE_UPSTREAMS: "allow",
      CLIENT_ADDRESS: "socket",
      HOSTS: slugs.map((slug, index) => `127.0.0.1:${own[index]}=${slug}`).join(","),
      ...keys,
      ...options.bindings,
    },
  });
  return {
    url,
    ports: [...main, ...own],
    hosts: Object.fromEntries(slugs.map((slug, index) => [slug, `http://127.0.0.1:${own[index]}`])),
    bootstrapCredential: keys.BOOTSTRAP_CREDENTIAL,
    stateDir,
    get startedInMs() {
      return served.startedInMs;
    },
    get pid() {
      return served.pid;
    },
    logs: () => served.logs(),
    restart: (bindings) => served.restart(bindings),
    kill: () => served.kill(),
    async stop() {
      await served.stop();
      const places = placesWithSecrets(stateDir, served.logs());
      if (options.stateDir === undefined) await rm(stateDir, { recursive: true, force: true });
      if (places.length > 0) throw new Error(`a stored secret stands in: ${places.join(", ")}`);
    },
  };
}

/** A prepared state directory without keys, for gateways to copy. */
export async function makeTemplate(): Promise<{ dir: string; remove: () => Promise<void> }> {
  const dir = await mkdtemp(path.join(tmpdir(), "valetkey-template-"));
  const remove = () => rm(dir, { recursive: true, force: true });
  try {
    await prepare({ stateDir: dir });
  } catch (error) {
    await remove();
    throw error;
  }
  return { dir, remove };
}

let ownTemplate: ReturnType<typeof makeTemplate> | undefined;

/** The test run's template; outside a test run (a soak, a script) one is made at the first use. */
async function templateDir(): Promise<string> {
  const given = process.env["VALETKEY_TEMPLATE"];
  if (given !== undefined) return given;
  ownTemplate ??= makeTemplate().then((template) => {
    process.once("exit", () => rmSync(template.dir, { recursive: true, force: true }));
    return template;
  });
  return (await ownTemplate).dir;
}
