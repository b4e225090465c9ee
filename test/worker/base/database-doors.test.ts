/// <reference types="vite/types/importMeta.d.ts" />
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { tenantColumnOf } from "../../../src/base/statement-guard-shape.ts";

const sources = Object.entries(
  import.meta.glob<string>(
    ["../../../src/**/*.ts", "../../../durable-objects/*.ts", "!**/base/database.ts"],
    {
      query: "?raw",
      import: "default",
      eager: true,
    },
  ),
).map(([path, text]) => [path.replace("../../../", ""), text] as const);

/** What of each source matches, as `file: match`. */
function found(pattern: RegExp): readonly string[] {
  return sources
    .flatMap(([path, text]) => [...text.matchAll(pattern)].map((match) => `${path}: ${match[1]}`))
    .toSorted();
}

test("attack 73: who looks across tenants is on this list, with the reason, and nobody else does", () => {
  expect(found(/\bacrossTenants\(\s*("[^"]*"|[^)]*)/g)).toEqual([
    'src/identity/agent-keys.ts: "whose key it is, by its digest"',
    'src/identity/enrolment.ts: "whom a code enrols, by its digest"',
    'src/identity/idempotency/keys.ts: "answers kept for repeats, a day old"',
    'src/identity/identity-providers.ts: "whose identity provider a token comes from, by its issuer and audience"',
    'src/identity/members.ts: "whether this deployment has its first tenant"',
    'src/identity/members.ts: "whose credential it is, by its digest"',
    'src/identity/sessions.ts: "whose session it is, by its digest"',
    'src/identity/sweep-people.ts: "sessions and sign-ins that are over"',
    'src/identity/tenant-changes.ts: "changes that landed long ago"',
    'src/identity/tenant-creation.ts: "whose first admin it makes, by its digest"',
    'src/identity/trust/workloads.ts: "whose agent it is, by its id"',
    'src/permissions/permission-rows.ts: "permissions that time has ended"',
    'src/sweep.ts: "events that wait in the outbox"',
    'src/tokens/expiry.ts: "tokens that have expired"',
    'src/tokens/revoked.ts: "tokens that were revoked"',
    'src/vault/reveal-ends.ts: "grants to read plaintext that are over"',
    'src/vault/sweep-secrets.ts: "deleted secrets that cannot be restored any more"',
    'src/vault/sweep-secrets.ts: "secrets that have expired"',
    'src/vault/sweep-secrets.ts: "versions that their tenants keep no longer"',
  ]);
});

test("attack 73: nobody touches the D1 bindings but to open the database", () => {
  expect(found(/\b(openDatabase\([^)]*\))/g)).toEqual([
    "durable-objects/approval-desk.ts: openDatabase(env)",
    "durable-objects/tenant-gate.ts: openDatabase(this.env)",
    "src/isolate.ts: openDatabase(env)",
    "src/sweep.ts: openDatabase(env)",
  ]);
  expect(found(/((?:\.|["'])DB(?:_[A-Z]+)?\b)/g)).toEqual([]);
  expect(found(/(from "drizzle-orm\/d1[^"]*")/g)).toEqual([]);
  expect(found(/(\bnew (?:GuardedDatabase|SQLiteD1Session|DrizzleD1Database)\b)/g)).toEqual([
    "src/base/statement-guard.ts: new GuardedDatabase",
  ]);
});

test("every table of the migrated schema has the column by which the guard holds it to a tenant", async () => {
  const { results } = await (env as Env).DB.prepare(
    `select m.name, group_concat(c.name) as columns, max(c.name in ('id', 'tenant_id') and c."notnull") as required
     from sqlite_master m join pragma_table_info(m.name) c
     where m.type = 'table' and m.name not like '\\_cf%' escape '\\' and m.name not like 'sqlite%'
     group by m.name`,
  ).all<{ name: string; columns: string }>();
  const tables = results.filter(({ name }) => name !== "d1_migrations");
  expect(tables.length).toBeGreaterThan(8);
  const without = tables.filter(({ name, columns }) => !columns.split(",").includes(tenantColumnOf(name)));
  expect(without).toEqual([]);
});

test("the schema has neither views nor triggers, which no statement would name", async () => {
  const { results } = await (env as Env).DB.prepare(
    "select name from sqlite_master where type in ('view', 'trigger')",
  ).all();
  expect(results).toEqual([]);
});
