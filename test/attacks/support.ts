import { loadKeys } from "../../local/state.ts";
import { freePorts } from "../../local/ports.ts";
import { start } from "../../local/workerd.ts";
import { type Gateway, type GatewayOptions, startGateway } from "../support/gateway.ts";
import { type HostileUpstream, startHostileUpstream } from "../support/hostile-upstream.ts";
import { type RawResponse, sendRaw } from "../support/raw.ts";
import { type ConnectionOptions, createTenant, type TestTenant } from "../support/tenant.ts";

/** The real credential: fixed, so that a search for its pieces has the same outcome every time. Holds what encoders escape. */
export const CANARY = `cnry+Zq8/Wv3=Jx7&Kp2%Lm5"Rt9<Hs4>Bd6\\Nf1'Gy0~Ce`;

export type KindName = "bearer" | "basic" | "header" | "query";

/** A connection of each kind that attaches `CANARY`. */
export const KINDS: Readonly<Record<KindName, NonNullable<ConnectionOptions["credential"]>>> = {
  bearer: { kind: "bearer" },
  basic: { kind: "basic", username: "AC-account" },
  header: { kind: "header", name: "X-Api-Key" },
  query: { kind: "query", name: "key" },
};

export interface CallOptions {
  method?: string;
  /** Lines as they stand in the request, without their ends. */
  headers?: readonly string[];
  body?: string;
  /** Instead of the lab's own token in `Authorization: Bearer`; null: none. */
  authorization?: string | null;
  port?: number;
  host?: string;
  timeoutMs?: number;
}

export interface Lab {
  gateway: Gateway;
  tenant: TestTenant;
  /** Where the connections lead. */
  upstream: HostileUpstream;
  /** Where no call may ever arrive. */
  elsewhere: HostileUpstream;
  /** May call every connection. */
  token: string;
  /** A request with a raw target, `/proxy/…` or whatever else, byte for byte. */
  send(target: string, options?: CallOptions): Promise<RawResponse>;
  close(): Promise<void>;
}

/** A gateway, a tenant, two hostile upstreams, and connections to the first of them that attach `CANARY`. */
export async function openLab(
  connections: (upstream: HostileUpstream, elsewhere: HostileUpstream) => Record<string, ConnectionOptions>,
  options: GatewayOptions = {},
): Promise<Lab> {
  const [gateway, upstream, elsewhere] = await Promise.all([
    startGateway(options),
    startHostileUpstream(),
    startHostileUpstream(),
  ]);
  const tenant = await createTenant(gateway);
  for (const [slug, connection] of Object.entries(connections(upstream, elsewhere))) {
    const isGiven = connection.secret !== undefined || connection.secrets !== undefined;
    await tenant.connect(slug, {
      base_url: upstream.url,
      ...(connection.provider === undefined ? { credential: KINDS.bearer } : {}),
      ...(isGiven ? {} : { value: CANARY }),
      ...connection,
    });
  }
  const token = await tenant.token(["connections:call:*"], { ttl: "1h" });
  const [mainPort = 0] = gateway.ports;
  return {
    gateway,
    tenant,
    upstream,
    elsewhere,
    token,
    send: (target, call = {}) => send(target, { port: mainPort, authorization: `Bearer ${token}`, ...call }),
    async close() {
      await Promise.all([gateway.stop(), upstream.close(), elsewhere.close()]);
    },
  };
}

function send(target: string, call: CallOptions): Promise<RawResponse> {
  const { method = "GET", headers = [], body, authorization = null, port = 0, timeoutMs } = call;
  const lines = [
    `${method} ${target} HTTP/1.1`,
    `Host: ${call.host ?? `127.0.0.1:${port}`}`,
    ...(authorization === null ? [] : [`Authorization: ${authorization}`]),
    ...headers,
    ...(body === undefined || headers.some((line) => /^(content-length|transfer-encoding)\s*:/i.test(line))
      ? []
      : [`Content-Length: ${Buffer.byteLength(body)}`]),
  ];
  const bytes = `${lines.join("\r\n")}\r\n\r\n${body ?? ""}`;
  return sendRaw({ port, bytes, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
}

/** The gateway's own refusal's code; throws where the answer is not one. */
export function codeOf(answer: Pick<RawResponse, "status" | "text">): string {
  try {
    return JSON.parse(answer.text).error.code;
  } catch {
    throw new Error(`not a refusal: ${answer.status} ${answer.text.slice(0, 200)}`);
  }
}

/** The data of a stopped gateway, served on as if deployed: none of the development switches is set. */
export async function serveAs(gateway: Gateway, bindings: Record<string, string>) {
  const { stateDir } = gateway;
  const ports = await freePorts(1);
  const keys = await loadKeys(stateDir);
  const served = await start({
    stateDir,
    ports,
    quiet: true,
    bindings: { CLIENT_ADDRESS: "socket", ...keys, ...bindings },
  });
  return { port: ports[0] ?? 0, url: `http://127.0.0.1:${ports[0]}`, stop: () => served.stop() };
}
