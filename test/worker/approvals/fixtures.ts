import { runInDurableObject } from "cloudflare:test";
import { vi } from "vitest";
import type { DeskObject } from "../../../src/approvals/desk.ts";
import type { TenantId } from "../../../src/base/ids.ts";
import { type Answer, bindings, newTenant, outboxEmpty, send } from "../api/door.ts";
import type { SignedIn } from "../support/signed-in.ts";

export interface Agent {
  readonly id: string;
  readonly api_key: string;
}

/** A tenant with a secret of each tier, and an agent that may ask for all of them. */
export async function openDesk() {
  const tenant = await newTenant();
  const { tenantId, admin } = tenant;

  async function newAgent(
    trust_tier = "standard",
    maker: { credential: string } | SignedIn = { credential: admin },
  ) {
    const allowed_scopes = ["secrets:*:*", "connections:call:*", "namespaces:read"];
    const body = { name: "an agent", allowed_scopes, trust_tier };
    return (await send("POST", "/v1/agents", { ...maker, body })).body as Agent & { readonly key_id: string };
  }

  const agent = await newAgent();

  const put = (path: string, tier: string): Promise<Answer> =>
    send("PUT", `/v1/secrets/${path}`, {
      credential: admin,
      body: {
        value: `value-of-${path}-00000`,
        access_tier: tier,
        allowed_hosts: ["api.example.com"],
        reveal: "allow",
      },
    });

  const connect = (slug: string, secret: string): Promise<Answer> =>
    send("POST", "/v1/connections", {
      credential: admin,
      body: { slug, base_url: "https://api.example.com", credential: { kind: "bearer" }, secret },
    });

  const ask = (scopes: readonly string[], over: object = {}, key = agent.api_key): Promise<Answer> =>
    send("POST", "/v1/tokens", { credential: key, body: { scopes, ttl: "10m", ...over } });

  /** The id of a request that waits for people. */
  async function held(scopes = [SENSITIVE], over: object = {}, key = agent.api_key): Promise<string> {
    const { status, body } = await ask(scopes, over, key);
    if (status !== 202) throw new Error(`not held, but: ${status} ${JSON.stringify(body)}`);
    return body.approval_id as string;
  }

  for (const tier of ["standard", "sensitive", "critical"]) await put(`app/${tier}/KEY`, tier);
  return {
    ...{ tenant, tenantId, agent, newAgent, put, connect, ask, held },
    desk: () => deskOf(tenantId),
    own: (id: string, query = "", credential = agent.api_key) =>
      send("GET", `/v1/approvals/agent/${id}${query}`, { credential }),
    /** The events of a type, newest first. */
    async trail(type: string) {
      await Promise.all([outboxEmpty(), deskIsSilent(tenantId)]);
      const { body } = await send("GET", `/v1/audit?event_type=${type}`, { credential: tenant.auditor });
      // oxlint-disable-next-line typescript/no-explicit-any -- what comes over the wire has no type.
      return body.events as readonly Record<string, any>[];
    },
  };
}

export type Desk = Awaited<ReturnType<typeof openDesk>>;

export const SENSITIVE = "secrets:read:app/sensitive/KEY";
export const CRITICAL = "secrets:read:app/critical/KEY";

export function stubOf(tenantId: TenantId) {
  return bindings.APPROVAL_DESK.get(bindings.APPROVAL_DESK.idFromName(tenantId));
}

export function deskOf(tenantId: TenantId): DeskObject {
  return stubOf(tenantId);
}

/** Until the desk has told the ledger everything: it does so in the background. */
export async function deskIsSilent(tenantId: TenantId): Promise<void> {
  const waiting = () =>
    runInDurableObject(
      stubOf(tenantId),
      (_, { storage }) =>
        storage.sql.exec("SELECT count(*) AS count FROM outbox WHERE goes = 'ledger'").one()["count"],
    );
  await vi.waitUntil(async () => (await waiting()) === 0, { timeout: 5_000 });
}

export const codeOf = ({ status, body }: Answer) => [status, body.error?.code];

export const approve = (who: SignedIn, id: string, body: object = {}) =>
  send("POST", `/v1/approvals/${id}/approve`, { headers: who.headers, body });
export const deny = (who: SignedIn, id: string, reason = "not now") =>
  send("POST", `/v1/approvals/${id}/deny`, { headers: who.headers, body: { reason } });
export const cancel = (who: SignedIn, id: string, body: object = {}) =>
  send("POST", `/v1/approvals/${id}/cancel`, { headers: who.headers, body });
export const seen = (who: SignedIn, id: string) =>
  send("GET", `/v1/approvals/${id}`, { headers: who.headers });

/** From now on it is so much later, for the desk as well. Undo with `vi.useRealTimers()`. */
export function later(milliseconds: number): void {
  const now = Date.now() + milliseconds;
  vi.useFakeTimers({ toFake: ["Date"], now });
}
