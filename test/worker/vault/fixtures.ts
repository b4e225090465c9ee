import { env } from "cloudflare:workers";
import { Hono } from "hono";
import type { ApiEnv } from "../../../src/api/context.ts";
import { quotasOf } from "../../../src/api/quota-settings.ts";
import { QuotaMemory, RateLimits } from "../../../src/api/rate-limits.ts";
import { openDatabase } from "../../../src/base/database.ts";
import { newId, type TenantId } from "../../../src/base/ids.ts";
import { Problem, renderProblem } from "../../../src/base/problem.ts";
import { allows } from "../../../src/base/scope.ts";
import type {
  AgentCaller,
  Authentication,
  Caller,
  MemberCaller,
  Role,
  TokenCaller,
  TokenUse,
} from "../../../src/identity/caller.ts";
import { tenants } from "../../../src/identity/tables.ts";
import type { Services } from "../../../src/services.ts";
import { EmbeddedKeyProvider } from "../../../src/vault/kms/embedded.ts";
import type { KeyProvider, WrappedKey } from "../../../src/vault/kms/key-provider.ts";
import { mount } from "../../../src/api/mount.ts";
import { namespaceEndpoints } from "../../../src/vault/namespace-routes.ts";
import { secretEndpoints } from "../../../src/vault/routes.ts";
import { Vault } from "../../../src/vault/vault.ts";
import { checkContract } from "../api/contract.ts";
import { DirectChanges } from "../support/direct-changes.ts";

export const ROOT_KEY = Buffer.alloc(32, 1).toString("base64");
export const NEXT_ROOT_KEY = Buffer.alloc(32, 2).toString("base64");

const { DB } = env as unknown as Env;
export const d1 = DB;
export const database = openDatabase({ DB });
export const db = database.acrossTenants("what a test looks into");

/** The embedded provider, counting what it is asked and failing on demand. */
export class WatchedKeys implements KeyProvider {
  readonly id = "embedded";
  wraps = 0;
  unwraps = 0;
  failure: Error | null = null;
  readonly #inner: KeyProvider;

  constructor(rootKeys = `1:${ROOT_KEY}`) {
    this.#inner = new EmbeddedKeyProvider(rootKeys);
  }

  async keyVersion(tenantId: string, kek?: string | null): Promise<string> {
    return this.#inner.keyVersion(tenantId, kek);
  }

  async wrap(tenantId: string, dek: Uint8Array, aad: Uint8Array, kek?: string | null): Promise<WrappedKey> {
    if (this.failure !== null) throw this.failure;
    this.wraps++;
    return this.#inner.wrap(tenantId, dek, aad, kek);
  }

  async unwrap(tenantId: string, key: WrappedKey, aad: Uint8Array): Promise<CryptoKey> {
    if (this.failure !== null) throw this.failure;
    this.unwraps++;
    return this.#inner.unwrap(tenantId, key, aad);
  }

  async rewrap(tenantId: string, key: WrappedKey, aad: Uint8Array): Promise<WrappedKey> {
    return this.#inner.rewrap(tenantId, key, aad);
  }
}

const request = { requestId: "req_000000000000000000000001", ip: "192.0.2.7", userAgent: "test" };

export function memberOf(tenantId: TenantId, role: Role = "editor"): MemberCaller {
  const memberId = newId("member");
  return {
    kind: "member",
    tenantId,
    memberId,
    name: "Ada",
    role,
    script: false,
    signIn: { method: "passkey", authenticatedAt: Date.now(), sessionId: null },
    actor: `member:${memberId}`,
    request,
  };
}

export function tokenOf(tenantId: TenantId, ...scopes: string[]): TokenCaller {
  const agentId = newId("agent");
  const grant = {
    tokenId: newId("token"),
    tenantId,
    agentId,
    scopes,
    ipAllowlist: [],
    maxUses: null,
    rate: null,
    allow: null,
    tool: null,
    user: null,
    jkt: null,
    permission: null,
    ancestors: [],
    context: { reason: "nightly report" },
    epoch: 1,
    issuedAt: 0,
    expiresAt: Number.MAX_SAFE_INTEGER,
  };
  return { kind: "token", tenantId, grant, actor: `agent:${agentId}`, request };
}

/** A tenant of its own with a vault, a clock that stands and a door through which anyone can be let in. */
export async function openVault(
  options: { reveal?: "allow" | "deny"; d1?: D1Database; keys?: WatchedKeys } = {},
) {
  const tenantId = newId("tenant");
  const settings = { reveal: options.reveal ?? "deny" };
  await db.insert(tenants).values({ id: tenantId, name: "Acme", settings, createdAt: 0 });
  const keys = options.keys ?? new WatchedKeys();
  const time = { now: Date.UTC(2026, 0, 1) };
  const changes = new DirectChanges(database);
  const vault = new Vault({
    db: openDatabase({ DB: options.d1 ?? DB }),
    keys,
    changes,
    clock: () => time.now,
    waitUntil: () => undefined,
    onEvents: () => undefined,
  });
  return {
    tenantId,
    keys,
    time,
    changes,
    vault,
    editor: memberOf(tenantId),
    admin: memberOf(tenantId, "admin"),
  };
}

/** Lets a caller in and remembers what it was charged for. */
class LetIn implements Authentication {
  readonly uses: TokenUse[];
  readonly #caller: Caller | null;

  constructor(caller: Caller | null, uses: TokenUse[]) {
    this.#caller = caller;
    this.uses = uses;
  }

  async caller(): Promise<Caller> {
    if (this.#caller === null) throw new Problem("UNAUTHORIZED", "nobody");
    return this.#caller;
  }

  async member(...roles: readonly Role[]): Promise<MemberCaller> {
    const caller = await this.caller();
    if (caller.kind === "member" && roles.includes(caller.role)) return caller;
    throw new Problem("ROLE_DENIED", "not your role");
  }

  async agent(): Promise<AgentCaller> {
    const caller = await this.caller();
    if (caller.kind === "agent") return caller;
    throw new Problem("ROLE_DENIED", "not an agent");
  }

  async spendProof(): Promise<void> {}

  async memberOrToken(roles: readonly Role[], use: TokenUse): Promise<MemberCaller | TokenCaller> {
    const caller = await this.caller();
    if (caller.kind !== "token") return this.member(...roles);
    if (!allows(caller.grant.scopes, use.resource, use.action, use.target)) {
      throw new Problem("SCOPE_DENIED", "not your scope");
    }
    this.uses.push(use);
    return caller;
  }
}

/** This isolate's own count is enough here. */
const rateLimits = new RateLimits({
  quotas: quotasOf(undefined, "development"),
  memory: new QuotaMemory(),
  object: () => ({ take: () => Promise.reject(new Error("away")) }),
  clock: Date.now,
});

/** The room's routes where the API mounts them, for one caller (null: no valid credential). */
export function door(vault: Vault, caller: Caller | null) {
  const uses: TokenUse[] = [];
  const app = new Hono<ApiEnv>();
  app.use(async (c, next) => {
    c.set("requestId", request.requestId);
    c.set("services", { vault, rateLimits } as unknown as Services);
    c.set("request", { ...request, sharedAddress: false });
    c.set("auth", new LetIn(caller, uses));
    await next();
  });
  mount(app, [...secretEndpoints, ...namespaceEndpoints]);
  app.onError((error) => {
    if (!(error instanceof Problem)) throw error;
    return renderProblem(error, request.requestId, null);
  });
  const send = async (method: string, path: string, body?: unknown) => {
    const init = { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const response = await app.request(`https://gateway.test${path}`, init);
    const text = await response.text();
    checkContract(method, path, { status: response.status, headers: response.headers, text });
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: text === "" ? null : JSON.parse(text),
    };
  };
  return { send, uses };
}

/** Everything that lies in D1, as one text. */
export async function dumpDatabase(): Promise<string> {
  const tables = await DB.prepare(
    "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' and name not like '_cf_%'",
  ).all<{ name: string }>();
  const dumps = await Promise.all(
    tables.results.map(({ name }) =>
      DB.prepare(`select * from "${name}"`)
        .all()
        .then(({ results }) => results),
    ),
  );
  return JSON.stringify(dumps);
}

/** Every way in which a canary could lie around: as it is, in hex, in base64 at all three alignments. */
export function formsOf(canary: Uint8Array): string[] {
  const buffer = Buffer.from(canary);
  const aligned = [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), buffer]).toString("base64");
    // The characters that only the canary's own bytes decide.
    return text.slice(Math.ceil((offset * 4) / 3), Math.floor(((offset + buffer.byteLength) * 4) / 3));
  });
  return [
    buffer.toString("latin1"),
    buffer.toString("hex"),
    buffer.toString("hex").toUpperCase(),
    ...aligned,
  ];
}
