import { env } from "cloudflare:workers";
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { eq } from "drizzle-orm";
import { openDatabase } from "../../../src/base/database.ts";
import { newId, type AgentId, type TenantId } from "../../../src/base/ids.ts";
import { Redacted } from "../../../src/base/redacted.ts";
import type { MemberCaller } from "../../../src/identity/caller.ts";
import { agents, tenants } from "../../../src/identity/tables.ts";
import worker from "../../../src/index.ts";
import { createServices, type Services } from "../../../src/services.ts";

export const ORIGIN = "http://127.0.0.1:8787";
export const CANARY = "canary-9f3c1d7e5b2a4860-live-secret";
export const CALLER_IP = "203.0.113.7";

/** What left the Worker, as the outbound service of vitest.config.ts tells it. */
export interface Arrived {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

export interface Tenant {
  readonly tenantId: TenantId;
  readonly agentId: AgentId;
  readonly services: Services;
  readonly admin: MemberCaller;
  /** A token of the agent's for calls through the connection `up`, unless it says otherwise. */
  token(request?: Record<string, unknown>): Promise<string>;
  settled(): Promise<void>;
}

/** A separate set of leases over the same objects: what another isolate is. */
export function isolate(): Env {
  return new Proxy(env as Env, {});
}

/** A request through the Worker's own door; resolves with the response, its background work goes on. */
export async function call(
  path: string,
  token: string,
  init: RequestInit = {},
  bindings: Env = env as Env,
): Promise<{ response: Response; settled: () => Promise<void> }> {
  const context = createExecutionContext();
  const headers = new Headers(init.headers);
  if (!headers.has("authorization")) headers.set("authorization", `Bearer ${token}`);
  if (!headers.has("cf-connecting-ip")) headers.set("cf-connecting-ip", CALLER_IP);
  if (headers.get("cf-connecting-ip") === "none") headers.delete("cf-connecting-ip");
  const url = path.startsWith("http") ? path : `${ORIGIN}${path}`;
  const response = await worker.fetch(new Request(url, { ...init, headers }) as never, bindings, context);
  return { response, settled: () => waitOnExecutionContext(context) };
}

/** A tenant with a secret, a connection `up` to http://127.0.0.1:9/base, and an agent that may use both. */
export async function createTenant(): Promise<Tenant> {
  const tenantId = newId("tenant");
  const db = openDatabase(env as Env).of(tenantId);
  const agentId = newId("agent");
  const now = Date.now();
  await db
    .insert(tenants)
    .values({ id: tenantId, name: "test", settings: { reveal: "deny" }, createdAt: now });
  await db.insert(agents).values({
    id: agentId,
    tenantId,
    name: "agent",
    description: "",
    allowedNamespaces: [],
    allowedScopes: ["connections:call:*", "secrets:*:*", "namespaces:read"],
    ipAllowlist: [],
    createdAt: now,
    updatedAt: now,
  });
  const context = createExecutionContext();
  const services = createServices(env as Env, "127.0.0.1:8787", (promise) => context.waitUntil(promise));
  const request = { requestId: "req_test", ip: CALLER_IP, userAgent: "test" };
  const admin: MemberCaller = {
    kind: "member",
    tenantId,
    memberId: newId("member"),
    name: "admin",
    role: "admin",
    script: true,
    actor: "member:test",
    request,
  };
  await services.vault.changes.put(admin, "test/up/KEY", {
    value: new Redacted(CANARY),
    allowedHosts: ["127.0.0.1:9"],
  });
  await services.connections.create(admin, {
    slug: "up",
    base_url: "http://127.0.0.1:9/base",
    credential: { kind: "bearer" },
    secret: "test/up/KEY",
  } as never);
  return {
    tenantId,
    agentId,
    services,
    admin,
    async token(wanted = {}) {
      const caller = {
        kind: "agent" as const,
        tenantId,
        agentId,
        keyId: newId("agentKey"),
        actor: `agent:${agentId}`,
        request,
      };
      const { token } = await services.tokens.issue(caller, {
        scopes: ["connections:call:up"],
        ttl: 600,
        ip_allowlist: [],
        context: {},
        ...wanted,
      } as never);
      return token.reveal();
    },
    settled: () => waitOnExecutionContext(context),
  };
}

/** The tenant's epoch in D1. */
export async function epochOf(tenantId: TenantId): Promise<number> {
  const [row] = await openDatabase(env as Env)
    .of(tenantId)
    .select()
    .from(tenants)
    .where(eq(tenants.id, tenantId));
  return row?.epoch ?? 0;
}
