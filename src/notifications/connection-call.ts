import type { AuditLog } from "../audit/audit.ts";
import type { AuditEvent } from "../audit/event.ts";
import type { Clock } from "../base/clock.ts";
import type { AtEpoch } from "../base/epoch-cache.ts";
import { matchesGlob } from "../base/glob.ts";
import { type DeliveryId, newId, type TenantId, type WebhookId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import { readStream } from "../base/request.ts";
import type { Connection } from "../connections/connection.ts";
import type { Connections } from "../connections/connections.ts";
import { type Destination, type DestinationRules, parseDestination } from "../connections/destination.ts";
import { providers } from "../connections/providers.ts";
import type { CredentialKind, Outgoing } from "../credentials/kind.ts";
import type { Credentials } from "../credentials/obtain.ts";
import type { Leases } from "../identity/leases.ts";
import type { SealedSecret, Vault } from "../vault/vault.ts";
import type { Composed, ProviderAnswer } from "./channels/channel.ts";

export interface ConnectionCallParts {
  readonly leases: Leases;
  readonly connections: Pick<Connections, "find">;
  readonly vault: Pick<Vault, "sealed">;
  readonly credentials: Pick<Credentials, "open">;
  /** `credentials/kinds.ts` and `credentials/obtain.ts` have them. */
  readonly parseCredential: (credential: unknown) => {
    readonly kind: CredentialKind;
    readonly options: unknown;
  };
  readonly checkUse: (sealed: SealedSecret, destination: Destination, now: number) => void;
  readonly audit: Pick<AuditLog, "append" | "record">;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly clock: Clock;
  readonly waitUntil: (promise: Promise<unknown>) => void;
}

/** What is sent, through which connection, and for which delivery: that stands in the ledger. */
export interface ConnectionCallRequest {
  readonly tenantId: TenantId;
  readonly slug: string;
  readonly webhookId: WebhookId;
  readonly deliveryId: DeliveryId;
  readonly attempt: number;
  /** Of the catalogue: another is refused. */
  readonly providers: readonly string[];
  readonly rules: DestinationRules;
  readonly compose: (provider: string) => Composed;
  readonly readsAnswer: boolean;
  readonly timeoutMs: number;
}

/** The ledger's name for it. */
export const ACTOR = "system:notifications";

const MAX_ANSWER_BYTES = 64 * 1024;
const ROUNDS = 3;

interface Way {
  readonly connection: Connection;
  readonly destination: Destination;
  readonly sealed: Readonly<Record<string, SealedSecret>>;
}

/**
 * The gateway's own calls through a tenant's connections: on the configuration of a live lease, to the hosts that the
 * secret allows, within the connection's `allow`, and in the ledger before they leave. Policies and the connection's
 * `default` are about agents' calls; a freeze stops these, too.
 */
export class ConnectionCall {
  readonly #parts: ConnectionCallParts;

  constructor(parts: ConnectionCallParts) {
    this.#parts = parts;
  }

  /**
   * Throws what refuses it (TENANT_FROZEN, NOT_FOUND, DESTINATION_DENIED, SCOPE_DENIED, SECRET_UNUSABLE …), UNAVAILABLE
   * where it could not be recorded, and what `fetch` throws.
   */
  async send(
    request: ConnectionCallRequest,
  ): Promise<ProviderAnswer & { readonly retryAfter: string | null }> {
    const { audit, clock, credentials, fetch, parseCredential, waitUntil } = this.#parts;
    const { tenantId, slug } = request;
    const { connection, destination, sealed } = await this.#way(request);
    const composed = request.compose(connection.provider ?? "");
    checkAllowed(connection, composed.path);
    const { kind, options } = parseCredential(connection.credential);
    const secrets = await credentials.open(tenantId, sealed);
    const outgoing: Outgoing = {
      method: "POST",
      path: composed.path,
      query: "",
      headers: new Headers({
        ...providers.get(connection.provider ?? "")?.defaultHeaders,
        ...composed.headers,
        "user-agent": "valetkey",
        "content-type": composed.contentType,
      }),
      body: new TextEncoder().encode(composed.body),
    };
    kind.strip(outgoing, options);
    kind.inject(outgoing, options, secrets);
    const event = eventOf(request, composed.path, clock());
    await audit.record(tenantId, [event]);
    const { scheme, authority, basePath } = destination;
    const query = outgoing.query === "" ? "" : `?${outgoing.query}`;
    const startedAt = clock();
    let status: number | null = null;
    try {
      const response = await fetch(`${scheme}://${authority}${basePath}${outgoing.path}${query}`, {
        method: "POST",
        headers: outgoing.headers,
        body: outgoing.body as BodyInit,
        redirect: "manual",
        signal: AbortSignal.timeout(request.timeoutMs),
      });
      ({ status } = response);
      const body = request.readsAnswer ? await jsonOf(response, request.timeoutMs) : null;
      if (!request.readsAnswer) await response.body?.cancel();
      return { status, body, retryAfter: response.headers.get("retry-after") };
    } finally {
      const done = completed(event, slug, status, startedAt, clock());
      waitUntil(audit.append(tenantId, [done]));
    }
  }

  /** The connection and its secrets, all of one time. */
  async #way({ tenantId, slug, providers: wanted, rules }: ConnectionCallRequest): Promise<Way> {
    const { leases, connections, vault, checkUse, clock, waitUntil } = this.#parts;
    const lease = leases.current(tenantId, waitUntil) ?? (await leases.ask(tenantId, waitUntil));
    if (lease.frozen) throw new Problem("TENANT_FROZEN", "All calls of this tenant are stopped.");
    let { epoch } = lease;
    for (let round = 0; round < ROUNDS; round++) {
      const epochs: number[] = [];
      const note = <V>(read: AtEpoch<V>): V => {
        epochs.push(read.epoch);
        return read.value;
      };
      const connection = note(await connections.find(tenantId, slug, epoch));
      if (connection === null) throw new Problem("NOT_FOUND", `There is no connection "${slug}".`);
      if (connection.provider === null || !wanted.includes(connection.provider))
        throw new Problem("VALIDATION_ERROR", `The connection "${slug}" leads to another provider.`);
      const destination = parseDestination(connection.baseUrl, rules);
      const sealed: Record<string, SealedSecret> = {};
      for (const [name, path] of Object.entries(connection.secrets)) {
        const secret = note(await vault.sealed(tenantId, path, epoch));
        if (secret === null) throw new Problem("SECRET_UNUSABLE", "The connection's secret is not there.");
        checkUse(secret, destination, clock());
        sealed[name] = secret;
      }
      const newest = Math.max(...epochs);
      if (newest <= epoch || new Set(epochs).size === 1) return { connection, destination, sealed };
      epoch = newest;
    }
    throw new Problem("UNAVAILABLE", "The configuration changed too often to send this.");
  }
}

/** The connection's `allow` is a hard bound, for these calls as for agents'. */
function checkAllowed({ allow, slug }: Connection, path: string): void {
  if (allow === null) return;
  const isCovered = allow.some(
    ({ methods, paths }) =>
      (methods === undefined || methods.includes("POST")) &&
      (paths === undefined || paths.some((pattern) => matchesGlob(pattern, path))),
  );
  if (!isCovered)
    throw new Problem("SCOPE_DENIED", `The connection "${slug}" does not let POST ${path} through.`);
}

function eventOf(
  { slug, webhookId, deliveryId, attempt }: ConnectionCallRequest,
  path: string,
  now: number,
): AuditEvent {
  return {
    id: newId("event"),
    event_type: "connection.called",
    resource_type: "connection",
    resource: slug,
    actor: ACTOR,
    ip_address: null,
    user_agent: null,
    outcome: "success",
    timestamp: new Date(now).toISOString(),
    context: { method: "POST", path, webhook_id: webhookId, delivery_id: deliveryId, attempt },
  };
}

function completed(
  called: AuditEvent,
  slug: string,
  status: number | null,
  startedAt: number,
  now: number,
): AuditEvent {
  return {
    ...called,
    id: `${called.id}.completed`,
    event_type: "connection.completed",
    resource: slug,
    outcome: status === null ? "error" : "success",
    timestamp: new Date(now).toISOString(),
    context: { outcome_of: called.id, status, duration_ms: now - startedAt },
  };
}

/** A bounded JSON body, null where it is none, too long or too slow. */
async function jsonOf(response: Response, totalMs: number): Promise<unknown> {
  try {
    const bytes = await readStream(response.body, 0, MAX_ANSWER_BYTES, { idleMs: totalMs, totalMs });
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  } catch {
    return null;
  }
}
