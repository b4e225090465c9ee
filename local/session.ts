import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { styleText } from "node:util";
import { ROOT } from "./bundle.ts";
import { runDemo } from "./demo.ts";
import { devFile } from "./dev-file.ts";
import { prepare } from "./image.ts";
import { holdState } from "./lock.ts";
import { freePorts, isFree } from "./ports.ts";
import { showCommands, showDemo, showServing } from "./show.ts";
import { loadKeys, StartError } from "./state.ts";
import { startUpstream } from "./upstream.ts";
import { start } from "./workerd.ts";

/**
 * `npm start`: serves the gateway and a sample upstream, shows the main job done once, and stays up until it is told
 * to end (`--once`: ends there). Answers with the exit code; a mistake of the surroundings is one line on stderr.
 */
export async function runSession(args: string[]): Promise<number> {
  const ends: (() => Promise<void>)[] = [];
  const told = new Promise<void>((resolve) => {
    // `on`, not `once`: wrangler's own listeners end the process at once when they are the last ones left.
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => resolve());
  });
  try {
    const shown = await Promise.race([showOnce(args, ends), told]);
    if (shown === undefined) return 130;
    if (!args.includes("--once")) await Promise.race([told, shown.crashed]);
    return 0;
  } catch (error) {
    const line =
      error instanceof StartError ? error.message : error instanceof Error ? error.stack : String(error);
    console.error(`${styleText("red", "valetkey:", { stream: process.stderr })} ${line}`);
    return 1;
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

/** Starts everything (what `ends` ends, in reverse) and shows the demo; `crashed` rejects if workerd ends by itself. */
async function showOnce(args: string[], ends: (() => Promise<void>)[]): Promise<{ crashed: Promise<never> }> {
  const unknown = args.find((arg) => arg !== "--once");
  if (unknown !== undefined) throw new StartError(`unknown option ${unknown}; the one there is: --once`);
  const port = parsePort(process.env["PORT"] ?? "8787");
  const given = process.env["VALETKEY_STATE"] ?? ".valetkey";
  const stateDir = path.resolve(ROOT, given);
  const shownDir = path.isAbsolute(given) ? given : path.relative(process.cwd(), stateDir) || ".";
  if (!(await isFree(port))) {
    throw new StartError(
      `port ${port} is in use; end what listens there, or choose another: PORT=${port + 10} npm start`,
    );
  }
  ends.push(await holdState(stateDir));
  const keys = await loadKeys(stateDir);
  const [{ applied }, demoPort, upstreamPort] = await Promise.all([
    prepare({ stateDir }),
    freeOr(port + 1),
    freeOr(port + 1000),
  ]);
  const upstream = await startUpstream({ port: upstreamPort });
  ends.push(upstream.close);
  const url = `http://127.0.0.1:${port}`;
  const served = await start({
    stateDir,
    ports: [port, demoPort],
    bindings: {
      ENVIRONMENT: "development",
      PRIVATE_UPSTREAMS: "allow",
      CLIENT_ADDRESS: "socket",
      HOSTS: `127.0.0.1:${demoPort}=demo`,
      ...keys,
    },
  });
  ends.push(served.stop);
  const crashed = served.crashed.then(async (how) => {
    // A Ctrl-C goes to workerd too; the one to us is on its way.
    await sleep(200);
    throw new StartError(`workerd ended by itself (${how})`);
  });
  crashed.catch(() => undefined);
  console.log(showServing(url, served.startedInMs, applied, shownDir));
  const demo = await Promise.race([
    runDemo({ url, stateDir, bootstrapCredential: keys.BOOTSTRAP_CREDENTIAL, upstream }),
    crashed,
  ]);
  console.log(showDemo(demo, upstream.url));
  if (demo.answer.status !== 200)
    throw new StartError(`the demo's call was answered with ${demo.answer.status}`);
  if (!args.includes("--once")) {
    console.log(
      showCommands({ url, demoUrl: `http://127.0.0.1:${demoPort}`, devFile: devFile(shownDir), demo }),
    );
  }
  return { crashed };
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new StartError(`PORT is a number from 1 to 65535, like 8787`);
}

/** A port that shall stay the same from start to start, or any free one if it is taken. */
async function freeOr(port: number): Promise<number> {
  if (port <= 65_535 && (await isFree(port))) return port;
  const [other] = await freePorts(1);
  return other ?? 0;
}
