import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { codeOf, guarded, newTeam, watchedD1 } from "./database-fixtures.ts";

afterEach(() => vi.restoreAllMocks());

/** Every parameter is bound to the tenant at whose door it is: what is refused is refused for its text. */
const WITHOUT_TENANT: Readonly<Record<string, string>> = {
  "no condition": "select * from agents",
  "another condition": "select * from agents where id = ?",
  "the tenant of another table only":
    "select * from agents a join agent_keys k on k.agent_id = a.id where k.tenant_id = ?",
  "two tables separated by a comma": "select * from agents a, agent_keys k where a.tenant_id = ?",
  "a condition that names neither of two tables": "select * from agents, tenants where tenant_id = ?",
  "or 1 = 1": "select * from agents where tenant_id = ? or 1 = 1",
  "or in parentheses": "select * from agents where (tenant_id = ? or 1 = 1)",
  "or before it": "select * from agents where 1 = 1 or id = ? and tenant_id = ?",
  not: "select * from agents where not tenant_id = ?",
  "not with parentheses": "select * from agents where not (tenant_id = ?)",
  "is null": "select * from agents where (tenant_id = ?) is null",
  "compared once more": "select * from agents where tenant_id = ? = 0",
  "the and of between": "select * from agents where 0 between 0 and tenant_id = ?",
  "the condition as a case": "select * from agents where case when tenant_id = ? then 1 else 1 end",
  "the condition in a function": "select * from agents where coalesce(tenant_id = ?, 1)",
  "the condition as a row": "select * from agents where (1, 1 and tenant_id = ?) = (1, 0)",
  "the condition as having": "select name from agents group by name having tenant_id = ?",
  "the condition as what is selected": "select tenant_id = ? from agents",
  "another comparison": "select * from agents where tenant_id <> ?",
  like: "select * from agents where tenant_id like ?",
  in: "select * from agents where tenant_id in (?)",
  is: "select * from agents where tenant_id is ?",
  "is not distinct from": "select * from agents where tenant_id is not distinct from ?",
  "a literal": "select * from agents where tenant_id = 'ten_0000000000000000'",
  "the column itself": "select * from agents where tenant_id = tenant_id",
  "the column of the same table": "select * from agents a where a.tenant_id = a.tenant_id and a.id = ?",
  "a subquery for a tenant": "select * from agents where tenant_id = (select id from tenants where id = ?)",
  "a text in place of the column": "select * from agents where 'tenant_id' = ?",
  "an alias of a condition": "select id as tenant_id from tenants where tenant_id = ?",
  "an alias that is another table's name":
    "select * from agents x join tenants agents on agents.id = ? where agents.id = ?",
  "one alias for two tables": "select * from agents a join agent_keys a on a.tenant_id = ?",
  "a shadowed alias":
    "select * from agents a where exists (select 1 from agent_keys a where a.tenant_id = ?)",
  "a subquery without it":
    "select * from agents where tenant_id = ? and id in (select agent_id from agent_keys)",
  "a subquery that names the outer table":
    "select * from agents a where a.tenant_id = ? and exists (select 1 from agent_keys k where a.tenant_id = ?)",
  "a subquery in what is selected":
    "select (select group_concat(digest) from agent_keys) from tenants where id = ?",
  "a subquery in from": "select * from (select * from agents) where tenant_id = ?",
  "a subquery in order by":
    "select * from agents where tenant_id = ? order by (select digest from agent_keys)",
  "a subquery in limit": "select * from agents where tenant_id = ? limit (select count(*) from agent_keys)",
  "a subquery in a case":
    "select case when 1 then (select digest from agent_keys) end from tenants where id = ?",
  "a table after in": "select * from tenants where id = ? and id in agents",
  "the second half of a union": "select id from agents where tenant_id = ? union all select id from agents",
  "a with": "with mine as (select * from agents) select * from mine",
  "a with that is called like its table":
    "with agents as (select * from agents) select * from agents where tenant_id = ?",
  "a recursive with": "with recursive x (n) as (select ? union all select n from x) select n from x",
  "a left join's own condition on the other table":
    "select * from agents a left join agent_keys k on k.tenant_id = ? and a.tenant_id = ?",
  "a left join without it":
    "select * from agents a left join agent_keys k on k.agent_id = a.id where a.tenant_id = ?",
  "a right join": "select * from agents a right join agent_keys k on a.tenant_id = ? and k.tenant_id = ?",
  "a full join": "select * from agents a full join agent_keys k on a.tenant_id = ? and k.tenant_id = ?",
  "a natural join": "select * from agents natural join agent_keys where agents.tenant_id = ?",
  "an update without it": "update agents set name = ?",
  "an update of another row": "update agents set name = 'x' where id = ?",
  "an update that moves a row": "update agents set tenant_id = ? where tenant_id = ?",
  "an update that moves a quoted row": 'update agents set name = 1, "TENANT_ID" = ? where tenant_id = ?',
  "an update of a tenant's id": "update tenants set id = ? where id = ?",
  "an update of several columns at once": "update agents set (name, tenant_id) = (?, ?) where tenant_id = ?",
  "an update from another table":
    "update agents set name = k.digest from agent_keys k where agents.tenant_id = ?",
  "an update with a subquery": "update agents set name = (select digest from agent_keys) where tenant_id = ?",
  "an update that replaces": "update or replace agents set id = 'x' where tenant_id = ?",
  "a delete without it": "delete from agents",
  "a delete of another row": "delete from agents where id = ?",
  "a delete that returns others":
    "delete from agents where tenant_id = ? returning (select digest from agent_keys)",
  "an insert without it": "insert into bootstraps (id, created_at) values (1, ?)",
  "an insert that names no columns": "insert into bootstraps values (1, ?, 1)",
  "an insert with a literal":
    "insert into bootstraps (id, tenant_id, created_at) values (?, 'ten_0000000000000000', 1)",
  "an insert whose second row has a literal":
    "insert into bootstraps (id, tenant_id) values (1, ?), (2, 'ten_0')",
  "an insert with the column twice": "insert into bootstraps (id, tenant_id, tenant_id) values (1, ?, ?)",
  "an insert with a column too many": "insert into bootstraps (id, tenant_id) values (?, ?, ?)",
  "an insert with an expression": "insert into bootstraps (id, tenant_id) values (1, ? || '')",
  "an insert from another tenant's rows":
    "insert into bootstraps (id, tenant_id, created_at) select 1, ?, created_at from agents",
  "an insert of other tenants' rows":
    "insert into bootstraps (id, tenant_id) select 1, tenant_id from agents",
  "an insert of default values": "insert into bootstraps default values",
  "a replace": "replace into bootstraps (id, tenant_id) values (1, ?)",
  "an insert that replaces": "insert or replace into bootstraps (id, tenant_id) values (1, ?)",
  "an upsert that meets another tenant's row":
    "insert into agents (id, tenant_id) values (?, ?) on conflict (id) do update set name = 'x'",
  "an upsert that moves a row":
    "insert into agents (id, tenant_id) values (?, ?) on conflict (tenant_id, id) do update set tenant_id = ?",
  "another schema": "select * from main.agents where tenant_id = ?",
  "SQLite's own tables": "select * from sqlite_master where name = ?",
  "a table-valued function": "select * from pragma_table_info('agents')",
  "a pragma": "pragma table_info(agents)",
  "an explain": "explain select * from agents where tenant_id = ?",
  "a drop": "drop table agents",
  "an attach": "attach ? as other",
  "two statements": "select * from tenants where id = ?; select * from agents",
  "a trailing semicolon": "select * from tenants where id = ?;",
  "a comment to the end": "select * from agents where tenant_id = ? -- and deleted_at is null",
  "a comment in the middle": "select * from agents where /* tenant_id = ? */ id = ?",
  "a comment that splits it": "select * from agents where tenant_id = ? /**/ or 1 = 1",
  "a quoted condition": `select * from agents where "tenant_id = ?" = ?`,
  "a doubled quote": `select * from "agents"" where "tenant_id" = ?`,
  brackets: "select * from [agents] where tenant_id = ?",
  "a named parameter": "select * from agents where tenant_id = :tenant",
  "a parameter that is number 0": "select * from agents where tenant_id = ?0",
  "a NUL": "select * from agents where tenant_id = ?\0 or 1 = 1",
  "another alphabet": "select * from agents where tenant_іd = ?",
  nothing: "",
};

describe("attack 73: a statement that does not hold each of its tables to the tenant throws before D1 hears of it", () => {
  test.each(Object.entries(WITHOUT_TENANT))("%s", async (_name, text) => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const { tenantId } = await newTeam();
    const { d1, prepared } = watchedD1();
    expect(await codeOf(() => guarded(tenantId, d1).prepare(text))).toBe("INTERNAL");
    expect(prepared()).toBe(0);
    expect(logged).toHaveBeenCalledOnce();
  });
});

/** Parameter 1 is the tenant, or all are where they have no numbers. */
const WITH_TENANT: Readonly<Record<string, string>> = {
  "a select": "select id from agents where tenant_id = ?",
  "quoted and in other letters": 'SELECT "agents"."id" FROM `agents` WHERE ("agents"."TENANT_ID" = ?)',
  "among others":
    "select id from agents where name = ?1 and (tenant_id = ?1 and (id > '' or id < '')) and 1 < 2",
  "the other way round": "select id from agents where ? = tenant_id",
  "the tenant's own row": "select id from tenants where id = ?",
  "joined by it":
    "select a.id from agents a join agent_keys k on k.tenant_id = a.tenant_id where a.tenant_id = ?",
  "left-joined by it":
    "select a.id from agents a left join agent_keys k on a.tenant_id = k.tenant_id where a.tenant_id = ?",
  "joined along a chain":
    "select k.id from tenants t, agents a, agent_keys k where k.tenant_id = a.tenant_id and a.tenant_id = t.id and t.id = ?",
  "a subquery":
    "select id from agents where tenant_id = ?1 and id in (select agent_id from agent_keys where tenant_id = ?1)",
  "a union":
    "select id from agents where tenant_id = ?1 union all select id from agent_keys where tenant_id = ?1 order by id",
  "a with":
    "with mine as (select id from agents where tenant_id = ?1), all_mine as (select * from mine) select id from all_mine",
  "an update":
    "update agents set name = coalesce((select name from tenants where id = ?1), '') where tenant_id = ?1 returning id",
  "an insert of nothing":
    "insert into bootstraps (tenant_id, id) select ?1, id from bootstraps where tenant_id = ?1",
  "an insert of a held column":
    "insert into bootstraps (tenant_id, id) select b.tenant_id, b.id from bootstraps as b where b.tenant_id = ?1",
  "an upsert on the tenant's rows":
    "insert into connections (id, tenant_id) select ?1, ?1 from bootstraps where tenant_id = ?1 " +
    "on conflict (tenant_id, slug) do update set slug = excluded.slug",
  "a delete": "delete from gate_changes where tenant_id = ? returning id",
  "no table at all": "select ?1 as id",
  "JSON as a table": "select value as id from json_each(json_array(?1))",
};

describe("a statement that holds each of its tables to the tenant is run", () => {
  test.each(Object.entries(WITH_TENANT))("%s", async (_name, text) => {
    const { tenantId } = await newTeam();
    const db = guarded(tenantId);
    await db.prepare(text).bind(tenantId).all();
    const [result] = await db.batch([db.prepare(text).bind(tenantId)]);
    expect(result?.success).toBe(true);
  });
});

describe("what is bound decides whose rows they are", () => {
  const READ = "select id from agents where tenant_id = ?";

  test("attack 73: another tenant's id in the place of one's own is refused before it is run", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const [own, other] = [await newTeam(), await newTeam()];
    const db = guarded(own.tenantId);
    for (const value of [
      other.tenantId,
      `${own.tenantId} `,
      own.tenantId.toUpperCase(),
      null,
      1,
      [own.tenantId],
    ]) {
      expect(await codeOf(() => db.prepare(READ).bind(value))).toBe("INTERNAL");
    }
    expect(await codeOf(() => db.prepare(READ).bind())).toBe("INTERNAL");
    expect((await db.prepare(READ).bind(own.tenantId).all()).results).toEqual([{ id: own.agentId }]);
  });

  test("attack 73: two tenants in one statement are refused, whichever is one's own", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const [own, other] = [await newTeam(), await newTeam()];
    const text = "select id from agents where tenant_id = ? union select id from agents where tenant_id = ?";
    const insert = "insert into bootstraps (id, tenant_id, created_at) values (8, ?, 1), (9, ?, 1)";
    for (const statement of [text, insert]) {
      const prepared = guarded(own.tenantId).prepare(statement);
      expect(await codeOf(() => prepared.bind(own.tenantId, other.tenantId))).toBe("INTERNAL");
      expect(await codeOf(() => prepared.bind(other.tenantId, own.tenantId))).toBe("INTERNAL");
    }
  });

  test("attack 73: nothing runs unbound, however it is run", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const { tenantId } = await newTeam();
    const db = guarded(tenantId);
    const unbound = db.prepare(READ);
    for (const run of [
      () => unbound.all(),
      () => unbound.run(),
      () => unbound.first(),
      () => unbound.first("id"),
      () => unbound.raw(),
      () => unbound.raw({ columnNames: true }),
      () => db.batch([unbound]),
    ]) {
      expect(await codeOf(run)).toBe("INTERNAL");
    }
  });

  test("attack 73: a batch takes neither another tenant's statement nor one that came past the guard", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const [own, other] = [await newTeam(), await newTeam()];
    const db = guarded(own.tenantId);
    const mine = db.prepare("update agents set name = 'changed' where tenant_id = ?").bind(own.tenantId);
    const theirs = guarded(other.tenantId).prepare(READ).bind(other.tenantId);
    const past = (env as Env).DB.prepare("select id from agents");
    expect(await codeOf(() => db.batch([mine, theirs]))).toBe("INTERNAL");
    expect(await codeOf(() => db.batch([mine, past]))).toBe("INTERNAL");
    expect(
      await db.prepare("select name from agents where tenant_id = ?").bind(own.tenantId).first("name"),
    ).toBe(own.tenantId);
  });

  test("attack 73: a session is guarded as well, and there is neither exec nor dump", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const [own, other] = [await newTeam(), await newTeam()];
    const session = guarded(own.tenantId).withSession("first-primary");
    expect(await codeOf(() => session.prepare("select * from agents"))).toBe("INTERNAL");
    expect(await codeOf(() => session.prepare(READ).bind(other.tenantId))).toBe("INTERNAL");
    const read = session.prepare(READ).bind(own.tenantId);
    expect((await session.batch([read]))[0]?.results).toEqual([{ id: own.agentId }]);
    expect(await codeOf(() => guarded(own.tenantId).exec("select 1"))).toBe("INTERNAL");
    expect(await codeOf(() => guarded(own.tenantId).dump())).toBe("INTERNAL");
  });

  test("attack 47: the operator reads a refused statement's shape and nothing that is in it", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const { tenantId } = await newTeam();
    const db = guarded(tenantId);
    await codeOf(() => db.prepare("select * from agents where name = 'canary' and id = 4711"));
    await codeOf(() => db.prepare("select * from agents where name = 'canary' ; 4711"));
    await codeOf(() => db.prepare(READ).bind("canary"));
    const lines = logged.mock.calls.flat().join("\n");
    expect(lines).toContain("select * from agents where name = … and id = …");
    expect(lines).not.toMatch(/canary|4711/);
  });
});
