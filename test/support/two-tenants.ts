import { createHash, randomUUID } from "node:crypto";
import { databaseOf } from "../attacks/database.ts";
import { Browser } from "./identity-provider.ts";
import { CLIENT, inAnHour, SignInStage } from "./sign-in-stage.ts";
import { type ApiClient, hostOf } from "./tenant.ts";

/** Who asks, by the names that the description has for their credentials. */
export const SCHEMES = ["member", "agentKey", "scopedToken"] as const;
export type Scheme = (typeof SCHEMES)[number];

const ID = /^([a-z]+)_(?:eu_|fedramp_)?[0-9a-f]{16,24}$/;
const SCOPES = ["secrets:*:*", "namespaces:read", "connections:call:*"];

/** A trust rule that can be made: nothing is fetched before somebody comes by it. */
export const TRUST_RULE = {
  name: "a rule",
  provider: "generic",
  issuer: "https://issuer.example.com",
  audience: "https://valetkey.example.com",
  subject: "workload-1",
};

/** What a tenant's things are called: ids by their prefix, and paths, namespaces and slugs. */
export type Names = ReadonlyMap<string, readonly string[]>;

/** Two tenants of one deployment, each with everything that a tenant can have. One of them knows every name of the other's. */
export class TwoTenants {
  readonly stage: SignInStage;
  readonly ours: { readonly tenantId: string; readonly names: Names };
  readonly theirs: { readonly tenantId: string; readonly names: Names };
  readonly theirAdmin: ApiClient;
  readonly #login: string;
  readonly #agent: ApiClient;
  readonly #token: ApiClient;
  #admin: { readonly client: ApiClient; readonly signedInAt: number } | null = null;

  private constructor(parts: {
    readonly stage: SignInStage;
    readonly theirAdmin: ApiClient;
    readonly tenantIds: readonly [ours: string, theirs: string];
    readonly login: string;
    readonly agent: ApiClient;
    readonly token: ApiClient;
    /** It lies in an object of their own, not in a row. */
    readonly theirApproval: string;
  }) {
    const named = (tenantId: string, approvals: readonly string[] = []) => ({
      tenantId,
      names: new Map([...namesOf(rowsOf(parts.stage, tenantId)), ["apr", approvals]]),
    });
    this.stage = parts.stage;
    this.ours = named(parts.tenantIds[0]);
    this.theirs = named(parts.tenantIds[1], [parts.theirApproval]);
    this.theirAdmin = parts.theirAdmin;
    this.#login = parts.login;
    this.#agent = parts.agent;
    this.#token = parts.token;
  }

  static async open(): Promise<TwoTenants> {
    const stage = await SignInStage.start();
    const { tenant } = stage;
    const another = await stage.anotherTenant();
    const ours = await furnish(stage, "ours", tenant.admin, stage.signInUrl);
    const theirApproval = await holdRequest(
      "theirs",
      await furnish(stage, "theirs", another.admin, another.signInUrl),
    );
    await addPasskeys(stage);
    const tenantIds = [tenant.tenantId, another.tenantId] as const;
    return new TwoTenants({ stage, tenantIds, theirAdmin: another.admin, theirApproval, ...ours });
  }

  close(): Promise<void> {
    return this.stage.stop();
  }

  /** One of our callers. A member is our admin, a person who has just signed in: more than this nobody may here. */
  async caller(scheme: Scheme): Promise<ApiClient> {
    if (scheme === "agentKey") return this.#agent;
    if (scheme === "scopedToken") return this.#token;
    // Well within the 5 minutes that a sign-in is fresh.
    if (this.#admin === null || Date.now() - this.#admin.signedInAt > 60_000) {
      const signedInAt = Date.now();
      const claims = { sub: this.#login, aud: CLIENT, exp: inAnHour() };
      const token = await this.stage.issuer.sign({ ...claims, auth_time: Math.floor(signedInAt / 1_000) });
      this.#admin = { client: this.stage.tenant.as(token), signedInAt };
    }
    return this.#admin.client;
  }

  /** Of all that is stored of the other tenant's. */
  digest(): string {
    const rows = JSON.stringify(rowsOf(this.stage, this.theirs.tenantId));
    return createHash("sha256").update(rows).digest("hex");
  }
}

/** Gives a tenant one of everything that has a name. */
async function furnish(stage: SignInStage, name: string, admin: ApiClient, signInUrl: string) {
  const baseUrl = "http://127.0.0.1:9";
  for (const key of ["KEY", "KEY", "GONE"]) {
    const value = `value-${randomUUID()}`;
    const about = { allowed_hosts: [hostOf(baseUrl)], reveal: "allow" };
    await admin.must("PUT", `/v1/secrets/${name}/app/${key}`, { value, ...about });
  }
  await admin.must("DELETE", `/v1/secrets/${name}/app/GONE`);
  await admin.must("PUT", `/v1/namespaces/${name}%2Fapp`, { reveal: "allow" });
  await admin.must("POST", "/v1/connections", {
    ...{ slug: name, base_url: baseUrl, credential: { kind: "bearer" }, secret: `${name}/app/KEY` },
  });
  await admin.must("POST", "/v1/policies", { name: "a policy", effect: "deny", enabled: false });
  const hook = { kind: "webhook", url: `${baseUrl}/`, events: ["*"] };
  const { id: webhook } = await admin.must("POST", "/v1/webhooks", hook);
  const { id: delivery } = await admin.must("POST", `/v1/webhooks/${webhook}/test`);
  // Deliveries are no rows of the database: so its id is among those that are found there.
  await admin.must("PATCH", `/v1/webhooks/${webhook}`, { name: delivery });
  await admin.must("POST", "/v1/actions", { name: `${name}.act`, calls: null });
  const budget = {
    name: "a budget",
    scope: { tenant: true },
    measure: "calls",
    limit: 1_000_000,
    period: "day",
  };
  await admin.must("POST", "/v1/budgets", budget);
  const made = await admin.must("POST", "/v1/agents", { name: "an agent", allowed_scopes: SCOPES });
  await admin.must("POST", `/v1/agents/${made.id}/trust`, TRUST_RULE);
  const agent = stage.tenant.as(made.api_key);
  await agent.must("POST", "/v1/permissions", { action: `${name}.act` });
  const scopes = [`secrets:*:${name}/app/KEY`, "namespaces:read"];
  await agent.must("POST", "/v1/tokens", { scopes, ttl: "1h" });
  const { token } = await agent.must("POST", "/v1/tokens", { scopes: ["secrets:*:*"], ttl: "24h" });

  const login = `user-${randomUUID()}`;
  const email = `${login}@example.com`;
  stage.issuer.people.set(login, { email, email_verified: true });
  await admin.must("POST", "/v1/members", { email, role: "admin" });
  const browser = new Browser();
  await stage.signIn(browser, login, signInUrl);
  const grant = { path: `${name}/app/*`, reason: "the tests need one", ttl: "15m" };
  const asked = await stage.api(browser, "POST", "/v1/reveal-grants", grant);
  // Where people of two tenants are taken for each other's, there is none: the test that needs its id then fails.
  if (![201, 403].includes(asked.status)) throw new Error(`no grant to reveal, but ${asked.status}`);

  return { admin, login, agent, token: stage.tenant.as(token) };
}

/** A request that waits for people: above the standard tier. */
async function holdRequest(
  name: string,
  { admin, agent }: Awaited<ReturnType<typeof furnish>>,
): Promise<string> {
  const critical = { value: `value-${randomUUID()}`, access_tier: "critical" };
  await admin.must("PUT", `/v1/secrets/${name}/app/CRITICAL`, critical);
  const scopes = [`secrets:read:${name}/app/CRITICAL`];
  const held = await agent.must("POST", "/v1/tokens", { scopes, ttl: "1h" });
  if (held.requires_approval !== true) throw new Error("nobody is asked");
  return held.approval_id;
}

/** What takes an authenticator to make; a row has the same name. */
async function addPasskeys(stage: SignInStage): Promise<void> {
  await stage.gateway.kill();
  const database = databaseOf(stage.gateway.stateDir);
  for (const { id, tenant_id } of database.prepare("SELECT id, tenant_id FROM members").all()) {
    database
      .prepare(
        `INSERT INTO passkeys (id, tenant_id, member_id, credential_id, public_key, counter, transports, name, backed_up, created_at)
         VALUES (?, ?, ?, ?, 'none', 0, '[]', 'a passkey', 0, 0)`,
      )
      .run(`pkey_${randomHex(24)}`, tenant_id ?? null, id ?? null, randomUUID());
  }
  database.close();
  await stage.gateway.restart();
}

/** Every row of a tenant's, of every table that has tenants', but what is only on its way to the ledger. */
function rowsOf({ gateway }: SignInStage, tenantId: string): Readonly<Record<string, Row[]>> {
  const database = databaseOf(gateway.stateDir);
  try {
    const tables = database
      .prepare(
        "SELECT name FROM sqlite_master AS t WHERE type = 'table' AND name <> 'audit_outbox' AND EXISTS (SELECT 1 FROM pragma_table_info(t.name) WHERE name = 'tenant_id')",
      )
      .all()
      .map(({ name }) => String(name));
    return Object.fromEntries(
      tables.map((table) => [
        table,
        database.prepare(`SELECT * FROM ${table} WHERE tenant_id = ? ORDER BY rowid`).all(tenantId),
      ]),
    );
  } finally {
    database.close();
  }
}

type Row = Readonly<Record<string, unknown>>;

function namesOf(tables: Readonly<Record<string, readonly Row[]>>): Names {
  const names = new Map<string, Set<string>>();
  const note = (kind: string, name: unknown): void => {
    names.set(kind, (names.get(kind) ?? new Set()).add(String(name)));
  };
  for (const [table, rows] of Object.entries(tables)) {
    for (const row of rows) {
      for (const value of Object.values(row)) {
        const kind = typeof value === "string" ? ID.exec(value)?.[1] : undefined;
        // The token of a permission has its id before it is collected, and is none until then.
        const isPlanned = table === "permissions" && kind === "tok";
        if (kind !== undefined && !isPlanned) note(kind, value);
      }
      if (table === "secrets") {
        note("path", row["path"]);
        note("namespace", String(row["path"]).split("/").slice(0, -1).join("/"));
      }
      if (table === "connections") note("slug", row["slug"]);
      if (table === "actions") note("name", row["name"]);
    }
  }
  return new Map([...names].map(([kind, found]) => [kind, [...found]]));
}

/** So many random digits of lower-case hex. */
export function randomHex(digits: number): string {
  return randomUUID()
    .replaceAll("-", "")
    .repeat(Math.ceil(digits / 32))
    .slice(0, digits);
}
