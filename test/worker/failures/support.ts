import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { vi } from "vitest";
import type { StoredEvent } from "../../../src/audit/event.ts";
import type { TenantId } from "../../../src/base/ids.ts";
import { type FailingEnv, failingEnv } from "../support/failing.ts";
import { call, CANARY, createTenant, type Tenant } from "../support/tenant.ts";

const real = env as Env;

export interface Answer {
  readonly status: number;
  /** The gateway's own error code; null where the answer is the upstream's. */
  readonly code: string | null;
  readonly retryAfter: string | null;
  readonly text: string;
}

/** A tenant, a token of its agent's, and an isolate of its own whose bindings can be made to fail. */
export interface Scene extends FailingEnv {
  readonly tenant: Tenant;
  readonly token: string;
  readonly tokenId: string;
  send(): Promise<Answer>;
  uses(): Promise<number>;
  /** What the ledger has of the token, after its object has handed over all it has. */
  events(): Promise<StoredEvent[]>;
}

export async function openScene(wanted: Record<string, unknown> = {}): Promise<Scene> {
  const tenant = await createTenant();
  const token = await tenant.token(wanted);
  const { tokenId } = await tenant.services.tokenUses.identify(token);
  const failing = failingEnv();
  return {
    ...failing,
    tenant,
    token,
    tokenId,
    async send() {
      const { response } = await call("/proxy/up/v1/x", token, {}, failing.bindings);
      return answerOf(response);
    },
    uses: async () => (await tokenObject(tokenId).state()).uses,
    events: () => eventsOf(tenant.tenantId, tokenId),
  };
}

export async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  if (response.headers.has("x-valetkey-error") && text.includes(CANARY)) throw new Error("a refusal tells");
  return {
    status: response.status,
    code: response.headers.get("x-valetkey-error"),
    retryAfter: response.headers.get("retry-after"),
    text,
  };
}

export function tokenObject(tokenId: string) {
  return real.SCOPED_TOKEN.get(real.SCOPED_TOKEN.idFromName(tokenId));
}

export function gateOf(tenantId: TenantId) {
  return real.TENANT_GATE.get(real.TENANT_GATE.idFromName(tenantId));
}

export async function eventsOf(tenantId: TenantId, tokenId: string): Promise<StoredEvent[]> {
  await runInDurableObject(tokenObject(tokenId), (object) => object.alarm());
  const ledger = real.AUDIT_LEDGER.get(real.AUDIT_LEDGER.idFromName(tenantId));
  const { blocks } = await ledger.blocks({ from: 1, maxBlocks: 256 });
  return blocks
    .flatMap((block) => JSON.parse(block.events) as StoredEvent[])
    .filter(({ context }) => context["token_id"] === tokenId);
}

/** How many requests have left for an upstream. */
export function watchDepartures(): { readonly count: () => number; readonly stop: () => void } {
  const spy = vi.spyOn(globalThis, "fetch");
  return { count: () => spy.mock.calls.length, stop: () => spy.mockRestore() };
}

/** The time jumps, for isolates and objects alike. */
export function jump(ms: number): void {
  vi.useFakeTimers({ now: Date.now() + ms, toFake: ["Date"] });
}
