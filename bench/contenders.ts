import path from "node:path";
import { freePorts } from "../local/ports.ts";
import { startGateway } from "../test/support/gateway.ts";
import { nginxProgram, startNginx } from "./nginx.ts";
import { BENCH_PATH, openTenant } from "./tenant.ts";
import { ANSWER, type BenchUpstream } from "./upstream.ts";

/** A way to the upstream. `url` and a path of the upstream's make a call's URL. */
export interface Contender {
  name: string;
  url: string;
  headers: Readonly<Record<string, string>>;
  /** The process whose CPU and memory count; null where none is between. */
  pid: number | null;
  stop(): Promise<void>;
}

export interface Surroundings {
  dir: string;
  upstream: BenchUpstream;
  credential: string;
}

const nothing = async () => undefined;

/** The upstream itself, nginx (where it is there), the bare injector and the gateway, each seen to answer. */
export async function startContenders(surroundings: Surroundings): Promise<Contender[]> {
  const { upstream, credential } = surroundings;
  const nginx = nginxProgram();
  const started: Contender[] = [
    {
      name: "direct",
      url: upstream.url,
      headers: { authorization: `Bearer ${credential}` },
      pid: null,
      stop: nothing,
    },
  ];
  try {
    if (nginx !== undefined) started.push(await startInjectingNginx(nginx, surroundings));
    started.push(await startInjector(surroundings));
    started.push(await startBenchGateway("gateway", surroundings));
    for (const contender of started) await see(contender);
    return started;
  } catch (error) {
    for (const contender of started) await contender.stop();
    throw error;
  }
}

async function startInjectingNginx(nginx: string, surroundings: Surroundings): Promise<Contender> {
  const { dir, upstream, credential } = surroundings;
  const [port = 0] = await freePorts(1);
  const { pid, stop } = await startNginx(nginx, {
    dir: path.join(dir, "nginx"),
    port,
    upstreams: `upstream provider { server ${new URL(upstream.url).host}; keepalive 64; keepalive_requests 1000000000; }`,
    server: `location / {
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer ${credential}";
    }
    location /stream { proxy_pass http://provider; proxy_http_version 1.1; proxy_buffering off;
      proxy_set_header Connection ""; proxy_set_header Authorization "Bearer ${credential}"; }`,
  });
  return { name: "nginx", url: `http://127.0.0.1:${port}`, headers: {}, pid, stop };
}

/** Raw pass-through: a worker that attaches the credential and does nothing else. */
export function startInjector(surroundings: Surroundings): Promise<Contender> {
  return startWorker("injector", surroundings);
}

/** The same, with the gateway's pump and nothing looked for. */
export function startPump(surroundings: Surroundings): Promise<Contender> {
  return startWorker("pump", surroundings);
}

async function startWorker(
  name: "injector" | "pump",
  { upstream, credential }: Surroundings,
): Promise<Contender> {
  const entry = path.join(import.meta.dirname, `worker/${name}.ts`);
  const served = await startGateway({ entry, bindings: { UPSTREAM: upstream.url, CREDENTIAL: credential } });
  // As long as the gateway's token, so that both parse the same request.
  const headers = { authorization: `Bearer ${"x".repeat(100)}` };
  return { name, url: served.url, headers, pid: served.pid, stop: () => served.stop() };
}

/**
 * A gateway with a tenant of its own. The caller's address stands in `CF-Connecting-IP`, as Cloudflare's edge tells it;
 * reading it off plain workerd's socket, as local serving does, costs a JSON object per call that the edge does not.
 */
export async function startBenchGateway(
  name: string,
  { upstream, credential }: Surroundings,
  options: { entry?: string } = {},
): Promise<Contender & { gateway: Awaited<ReturnType<typeof startGateway>> }> {
  const gateway = await startGateway({ ...options, bindings: { CLIENT_ADDRESS: "cf-connecting-ip" } });
  try {
    const { token } = await openTenant(gateway, { url: upstream.url, credential });
    return {
      name,
      url: gateway.url + BENCH_PATH,
      headers: { authorization: `Bearer ${token}`, "cf-connecting-ip": "203.0.113.7" },
      get pid() {
        return gateway.pid;
      },
      stop: () => gateway.stop(),
      gateway,
    };
  } catch (error) {
    await gateway.stop();
    throw error;
  }
}

/** One call, whose answer must be the upstream's, byte for byte. */
export async function see(contender: Contender): Promise<void> {
  const response = await fetch(`${contender.url}/v1/charges`, {
    headers: contender.headers,
    signal: AbortSignal.timeout(10_000),
  });
  const body = await response.text();
  if (response.status === 200 && body === ANSWER) return;
  throw new Error(`${contender.name} answered ${response.status} ${body.slice(0, 300)}`);
}
