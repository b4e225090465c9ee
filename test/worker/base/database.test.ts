import { env } from "cloudflare:workers";
import { eq, sql } from "drizzle-orm";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type Database, openDatabase } from "../../../src/base/database.ts";
import { newId, type TenantId } from "../../../src/base/ids.ts";
import { newTenantId } from "../../../src/base/jurisdiction.ts";
import { agentKeys, agents, bootstraps, tenants } from "../../../src/identity/tables.ts";
import { codeOf, newTeam, watchedD1 } from "./database-fixtures.ts";

afterEach(() => vi.restoreAllMocks());

const database = openDatabase(env as Env);

const nameOf = async (tenantId: TenantId): Promise<unknown> =>
  (await database.acrossTenants("a test looks").select().from(agents).where(eq(agents.tenantId, tenantId)))[0]
    ?.name;

describe("a tenant's door", () => {
  test("attack 73: reads the tenant's rows alone, though no query says whose", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const [own, other] = [await newTeam(), await newTeam()];
    const db = database.of(own.tenantId);
    expect((await db.select().from(agents)).map(({ id }) => id)).toEqual([own.agentId]);
    expect((await db.select().from(tenants)).map(({ id }) => id)).toEqual([own.tenantId]);
    expect(await db.select().from(agents).where(eq(agents.id, other.agentId))).toEqual([]);
    const theirs = db.select().from(agents).where(eq(agents.tenantId, other.tenantId));
    expect(await codeOf(() => theirs)).toBe("INTERNAL");
    expect(
      await db
        .selectDistinct({ id: agents.id })
        .from(agents)
        .where(sql`1 = 1 or 1 = 1`),
    ).toEqual([{ id: own.agentId }]);
    expect(await db.onPrimary().select({ id: agents.id }).from(agents)).toEqual([{ id: own.agentId }]);
  });

  test("attack 73: joins the tenant's rows alone, whatever the join says", async () => {
    const [own] = [await newTeam(), await newTeam()];
    const db = database.of(own.tenantId);
    const always = sql`1 = 1`;
    const pair = { agent: agents.id, digest: agentKeys.digest };
    for (const query of [
      db.select(pair).from(agents).innerJoin(agentKeys, always),
      db.select(pair).from(agents).leftJoin(agentKeys, always),
    ]) {
      expect(await query).toEqual([{ agent: own.agentId, digest: own.agentId }]);
    }
  });

  test("attack 73: changes and deletes the tenant's rows alone", async () => {
    const [own, other] = [await newTeam(), await newTeam()];
    const db = database.of(own.tenantId);
    await db.update(agents).set({ name: "renamed" });
    await db.update(agents).set({ name: "taken" }).where(eq(agents.id, other.agentId));
    await db.delete(agentKeys);
    expect([await nameOf(own.tenantId), await nameOf(other.tenantId)]).toEqual(["renamed", other.tenantId]);
    expect(await db.select().from(agentKeys)).toEqual([]);
    expect(await database.of(other.tenantId).select().from(agentKeys)).toHaveLength(1);
  });

  test("attack 73: writes rows of the tenant, and none that say otherwise", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const [own, other] = [await newTeam(), await newTeam()];
    const db = database.of(own.tenantId);
    const key = { agentId: own.agentId, createdAt: 1 };
    await db.insert(agentKeys).values([{ ...key, id: newId("agentKey"), digest: `${own.agentId} 2` }]);
    expect(await db.select().from(agentKeys)).toHaveLength(2);
    const theirs = { ...key, id: newId("agentKey"), digest: `${own.agentId} 3`, tenantId: other.tenantId };
    expect(await codeOf(() => db.insert(agentKeys).values(theirs))).toBe("INTERNAL");
    const tenant = { name: "x", settings: { reveal: "deny" }, createdAt: 1 } as const;
    expect(await codeOf(() => db.insert(tenants).values({ ...tenant, id: other.tenantId }))).toBe("INTERNAL");
    expect(await codeOf(() => db.update(agents).set({ tenantId: other.tenantId }))).toBe("INTERNAL");
    expect(await database.of(other.tenantId).select().from(agentKeys)).toHaveLength(1);
  });

  test("attack 73: SQL by hand inside a query is held to the tenant, or refused before D1 hears of it", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const [own] = [await newTeam(), await newTeam()];
    const { d1, prepared } = watchedD1();
    const db = openDatabase({ DB: d1 }).of(own.tenantId);
    const all = sql<string>`(select group_concat(${agentKeys.digest}) from ${agentKeys})`;
    const mine = sql<string>`(select group_concat(digest) from agent_keys where tenant_id = ${own.tenantId})`;
    expect(await codeOf(async () => db.select({ all }).from(agents))).toBe("INTERNAL");
    expect(await codeOf(async () => db.update(agents).set({ name: all }))).toBe("INTERNAL");
    expect(
      await codeOf(async () =>
        db
          .select()
          .from(agents)
          .where(sql`1 = 1) or (1 = 1`),
      ),
    ).toBe("INTERNAL");
    expect(prepared()).toBe(0);
    expect(await db.select({ mine }).from(agents)).toEqual([{ mine: own.agentId }]);
  });

  test("attack 73: a batch of two tenants' statements changes nothing", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const [own, other] = [await newTeam(), await newTeam()];
    const statements = [own, other].map(({ tenantId }) =>
      database.of(tenantId).update(agents).set({ name: "x" }),
    );
    const [first, ...rest] = statements;
    if (first === undefined) throw new Error("a statement was expected");
    expect(await codeOf(() => database.of(own.tenantId).batch([first, ...rest]))).toBe("INTERNAL");
    expect([await nameOf(own.tenantId), await nameOf(other.tenantId)]).toEqual([
      own.tenantId,
      other.tenantId,
    ]);
  });

  test("reads no statement twice: the second is a lookup", async () => {
    const { tenantId } = await newTeam();
    const db = database.of(tenantId);
    const exec = vi.spyOn(RegExp.prototype, "exec");
    const readPieces = () =>
      exec.mock.contexts.filter((pattern) => String(pattern).includes("<parameter>")).length;
    await db.select().from(bootstraps).where(eq(bootstraps.createdAt, 4_711));
    const pieces = readPieces();
    expect(pieces).toBeGreaterThan(10);
    await db.select().from(bootstraps).where(eq(bootstraps.createdAt, 4_712));
    expect(readPieces()).toBe(pieces);
  });
});

describe("jurisdictions", () => {
  test("a tenant of a jurisdiction is read and written in that one's database alone", async () => {
    const [plain, eu] = [watchedD1(), watchedD1()];
    const places = openDatabase({ DB: plain.d1, DB_EU: eu.d1 });
    const tenantId = newTenantId("eu");
    await places.of(tenantId).select().from(agents);
    expect([plain.prepared(), eu.prepared()]).toEqual([0, 1]);
    await places.acrossTenants("a test looks", "eu").select().from(bootstraps);
    expect([plain.prepared(), eu.prepared()]).toEqual([0, 2]);
    await places.of(newTenantId(null)).select().from(agents);
    expect([plain.prepared(), eu.prepared()]).toEqual([1, 2]);
    expect(places.jurisdictions).toEqual([null, "eu"]);
  });

  test("a tenant of a jurisdiction that has no database is nowhere, not elsewhere", async () => {
    const { d1, prepared } = watchedD1();
    const places = openDatabase({ DB: d1, DB_EU: d1 });
    expect(await codeOf(() => places.of(newTenantId("fedramp")))).toBe("MISCONFIGURED");
    expect(await codeOf(() => places.acrossTenants("a test looks", "fedramp"))).toBe("MISCONFIGURED");
    expect(prepared()).toBe(0);
  });
});

/** Compiled, never run: a line that is no error any more fails the types. */
export function unwritable(db: Database, tenantId: TenantId): unknown[] {
  const rows = db.of(tenantId).insert(bootstraps);
  return [
    // @ts-expect-error -- there is no query without a tenant
    db.select().from(agents),
    // @ts-expect-error -- nor a change
    db.update(agents).set({ name: "x" }),
    // @ts-expect-error -- nor a row
    db.insert(bootstraps).values({ id: 1, createdAt: 1 }),
    // @ts-expect-error -- nor a removal
    db.delete(agents),
    // @ts-expect-error -- nor a batch
    db.batch([]),
    // @ts-expect-error -- nor the database itself
    db.$client.prepare("select * from agents"),
    // @ts-expect-error -- a tenant's id is no text that came from outside
    db.of("ten_0000000000000000"),
    // @ts-expect-error -- whoever needs no tenant says why
    db.acrossTenants(),
    // @ts-expect-error -- drizzle's own way to run SQL is not there
    db.of(tenantId).run(sql`delete from agents`),
    // @ts-expect-error -- rows are made of values, not of other rows
    rows.select(sql`select 1`),
  ];
}
