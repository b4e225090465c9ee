import { env } from "cloudflare:workers";
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { openDatabase } from "../../../src/base/database.ts";
import type { TenantId } from "../../../src/base/ids.ts";
import { type Jurisdiction, jurisdictionOf } from "../../../src/base/jurisdiction.ts";
import type { MemberCaller } from "../../../src/identity/caller.ts";
import { newCredential } from "../../../src/identity/credential.ts";
import { members } from "../../../src/identity/tables.ts";
import { createServices, type Services } from "../../../src/services.ts";
import { codeOf, watchedD1 } from "../base/database-fixtures.ts";

const OPERATOR = "vko_an-operator-of-this-deployment-0123456789";
const WEEK_MS = 7 * 24 * 3_600_000;
const request = { requestId: "req_000000000000000000000001", ip: "192.0.2.7", userAgent: "test" };

/** The Worker's bindings with an operator and a database in the EU (the same one, counted by itself). */
function deployment(changed: { readonly [K in keyof Env]?: Env[K] | undefined } = {}) {
  const [plain, eu] = [watchedD1(), watchedD1()];
  const settings = { OPERATOR_CREDENTIAL: OPERATOR, DB: plain.d1, DB_EU: eu.d1, ...changed };
  const bindings = new Proxy(env as Env, {
    get: (target, key) => Reflect.get(key in settings ? settings : target, key) as unknown,
  });
  const time = { now: Date.now() };
  const context = createExecutionContext();
  const services = createServices(
    bindings,
    "localhost",
    (work) => context.waitUntil(work),
    () => time.now,
  );
  const asked = () => ({ plain: plain.prepared(), eu: eu.prepared() });
  return { services, time, asked, settled: () => waitOnExecutionContext(context) };
}

function adminOf(tenantId: TenantId, memberId: MemberCaller["memberId"]): MemberCaller {
  const actor = `member:${memberId}`;
  return { kind: "member", tenantId, memberId, name: "admin", role: "admin", script: true, actor, request };
}

async function create({ tenantCreation }: Services, jurisdiction: Jurisdiction | null = null) {
  const created = await tenantCreation.create({ name: "a team", jurisdiction }, request);
  return { ...created, credential: created.bootstrapCredential.reveal() };
}

beforeEach(() => {
  // Workerd by itself keeps nothing in a jurisdiction, and development is told.
  vi.spyOn(console, "error").mockImplementation(() => undefined);
});
afterEach(() => vi.restoreAllMocks());

describe("an operator", () => {
  test("is known by the deployment's operator credential and nothing else", async () => {
    const { tenantCreation } = deployment().services;
    tenantCreation.checkOperatorCredential(OPERATOR);
    const bootstrap = (env as Env).BOOTSTRAP_CREDENTIAL ?? "";
    for (const other of [
      null,
      "",
      "vko_",
      `${OPERATOR}0`,
      OPERATOR.slice(0, -1),
      bootstrap,
      newCredential("vkm").reveal(),
    ]) {
      expect(await codeOf(() => tenantCreation.checkOperatorCredential(other))).toBe("UNAUTHORIZED");
    }
  });

  test("is nobody where the deployment has no operator credential, nor with another kind of secret", async () => {
    const nobody = deployment({ OPERATOR_CREDENTIAL: "" }).services.tenantCreation;
    expect(await codeOf(() => nobody.checkOperatorCredential(""))).toBe("UNAUTHORIZED");
    expect(await codeOf(() => nobody.checkOperatorCredential(OPERATOR))).toBe("UNAUTHORIZED");
    const bootstrap = (env as Env).BOOTSTRAP_CREDENTIAL ?? "";
    const mistaken = deployment({ OPERATOR_CREDENTIAL: bootstrap }).services.tenantCreation;
    expect(await codeOf(() => mistaken.checkOperatorCredential(bootstrap))).toBe("UNAUTHORIZED");
  });

  test("makes tenants, each with an empty ledger that begins with that", async () => {
    const { services, settled } = deployment();
    const [one, two] = [await create(services), await create(services)];
    await settled();
    expect(one.tenantId).not.toBe(two.tenantId);
    expect(await services.tenants.get(one.tenantId)).toMatchObject({
      name: "a team",
      jurisdiction: null,
      epoch: 1,
    });
    const { events } = await services.audit.query(one.tenantId, {}, { limit: 10 });
    expect(events).toMatchObject([
      {
        event_type: "tenant.created",
        resource: one.tenantId,
        actor: "operator",
        ip_address: request.ip,
        context: { name: "a team", jurisdiction: null },
      },
    ]);
    expect(JSON.stringify(events)).not.toContain(one.credential);
  });
});

describe("a tenant's bootstrap credential", () => {
  test("makes its first admin, who sees this tenant alone (attack 73)", async () => {
    const { services, settled } = deployment();
    const [own, other] = [await create(services), await create(services)];
    const { tenantId, memberId, adminToken } = await services.tenantCreation.begin(own.credential, request);
    await settled();
    expect(tenantId).toBe(own.tenantId);
    expect(await services.members.authenticate(adminToken.reveal())).toEqual({
      ...{ tenantId, memberId, name: "admin", role: "admin", script: true },
    });
    const admin = adminOf(tenantId, memberId);
    const { agent } = await services.agents.create(admin, {
      ...{
        name: "a",
        description: "",
        allowed_namespaces: [],
        allowed_scopes: [],
        ip_allowlist: [],
        trust_tier: "standard",
      },
    });
    expect(await services.agents.find(tenantId, agent.id)).not.toBeNull();
    expect(await services.agents.find(other.tenantId, agent.id)).toBeNull();
    const { events } = await services.audit.query(tenantId, {}, { limit: 10 });
    expect(events.map((event) => event.event_type)).toContain("member.created");
  });

  test("works once, also under 20 parallel requests", async () => {
    const { services } = deployment();
    const { tenantId, credential } = await create(services);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => codeOf(() => services.tenantCreation.begin(credential, request))),
    );
    expect(answers.toSorted()).toEqual([...Array<string>(19).fill("CONFLICT"), "none"]);
    expect(
      await openDatabase(env as Env)
        .of(tenantId)
        .select()
        .from(members),
    ).toHaveLength(1);
  });

  test("works for a week", async () => {
    const { services, time } = deployment();
    const [late, early] = [await create(services), await create(services)];
    time.now += WEEK_MS - 1;
    await services.tenantCreation.begin(early.credential, request);
    time.now += 1;
    expect(await codeOf(() => services.tenantCreation.begin(late.credential, request))).toBe("UNAUTHORIZED");
  });

  test("cannot be guessed, nor taken for another credential", async () => {
    const { services, asked } = deployment();
    const before = asked();
    const admin = newCredential("vkm").reveal();
    const bootstrap = (env as Env).BOOTSTRAP_CREDENTIAL ?? "";
    const elsewhere = newCredential("vkb", "fedramp").reveal();
    for (const other of [
      null,
      "",
      OPERATOR,
      admin,
      bootstrap,
      elsewhere,
      `${newCredential("vkb").reveal()}0`,
    ]) {
      expect(await codeOf(() => services.tenantCreation.begin(other, request))).toBe("UNAUTHORIZED");
    }
    expect(asked()).toEqual(before);
    const unknown = newCredential("vkb").reveal();
    expect(await codeOf(() => services.tenantCreation.begin(unknown, request))).toBe("UNAUTHORIZED");
    expect(services.tenantCreation.isBootstrapCredential(unknown)).toBe(true);
    expect(services.tenantCreation.isBootstrapCredential(bootstrap)).toBe(false);
  });
});

describe("a tenant's jurisdiction", () => {
  test("is settled with its creation: its data, members, agents and tokens are in that one's database alone", async () => {
    const { services, asked, settled } = deployment();
    const { tenantId, credential } = await create(services, "eu");
    const { memberId, adminToken } = await services.tenantCreation.begin(credential, request);
    const admin = adminOf(tenantId, memberId);
    const { agent, apiKey, keyId } = await services.agents.create(admin, {
      ...{
        name: "a",
        description: "",
        allowed_namespaces: [],
        allowed_scopes: ["secrets:use:*"],
        ip_allowlist: [],
        trust_tier: "standard",
      },
    });
    const caller = {
      kind: "agent",
      tenantId,
      agentId: agent.id,
      keyId,
      actor: `agent:${agent.id}`,
      request,
    } as const;
    const { token, grant } = await services.tokens.issue(caller, {
      ...{ scopes: ["secrets:use:*"], ttl: 600, ip_allowlist: [], context: {} },
    } as never);
    await services.tokens.get(tenantId, null, grant.tokenId);
    expect(await services.members.authenticate(adminToken.reveal())).toMatchObject({ tenantId });
    expect(await services.agents.keys.authenticate(apiKey.reveal())).toMatchObject({ tenantId });
    await settled();
    expect(asked().plain).toBe(0);
    expect(asked().eu).toBeGreaterThan(10);
    for (const text of [tenantId, grant.tokenId, apiKey.reveal(), adminToken.reveal(), credential]) {
      expect(jurisdictionOf(text)).toBe("eu");
    }
    expect(token.reveal()).toMatch(/^vkt_[0-9A-Za-z]{96}$/);
    expect((await services.tenants.get(tenantId)).jurisdiction).toBe("eu");
  });

  test("is refused where the deployment has no database in it", async () => {
    const { services, asked } = deployment();
    expect(await codeOf(() => create(services, "fedramp"))).toBe("VALIDATION_ERROR");
    expect(asked()).toEqual({ plain: 0, eu: 0 });
  });

  test("is refused outside development where the platform keeps no objects in it", async () => {
    const { services, asked } = deployment({ ENVIRONMENT: "production", PRIVATE_UPSTREAMS: undefined });
    expect(await codeOf(() => create(services, "eu"))).toBe("MISCONFIGURED");
    expect(asked()).toEqual({ plain: 0, eu: 0 });
  });
});
