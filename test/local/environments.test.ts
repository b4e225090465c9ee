import path from "node:path";
import { expect, test } from "vitest";
import { unstable_readConfig as readConfig } from "wrangler";
import { ROOT } from "../../local/bundle.ts";

const config = path.join(ROOT, "wrangler.toml");

/** What is looked at of a configuration, as wrangler reads it. */
interface Environment {
  readonly name: string;
  readonly durable_objects: { readonly bindings: readonly object[] };
  readonly d1_databases: readonly { readonly binding: string; readonly database_id?: string }[];
  readonly migrations: readonly object[];
  readonly rules: readonly object[];
  readonly compatibility_flags: readonly string[];
  readonly triggers: { readonly crons: readonly string[] | undefined };
  readonly vars: Readonly<Record<string, unknown>>;
}

const of = (env?: string): Environment =>
  readConfig({ config, ...(env === undefined ? {} : { env }) }) as Environment;
const ENVIRONMENTS = ["staging", "production"] as const;

test.each(ENVIRONMENTS)("%s has all that the Worker needs, since bindings are not inherited", (name) => {
  const [top, own] = [of(), of(name)];
  expect(own.durable_objects.bindings).toEqual(top.durable_objects.bindings);
  expect(own.d1_databases.map(({ binding }) => binding)).toEqual(
    top.d1_databases.map(({ binding }) => binding),
  );
  expect(own.migrations).toEqual(top.migrations);
  expect(own.rules).toEqual(top.rules);
  expect(own.compatibility_flags).toEqual(top.compatibility_flags);
  expect(own.triggers.crons).toEqual(top.triggers.crons);
  expect(own.vars["ENVIRONMENT"]).toBe(name);
});

test("no two environments share a name or a database, and none is for development", () => {
  const all = [of(), ...ENVIRONMENTS.map((name) => of(name))];
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  const databases = all.flatMap(({ d1_databases }) => d1_databases.map((one) => one.database_id));
  expect(new Set(databases).size).toBe(databases.length);
  for (const { vars } of all) {
    expect(vars["ENVIRONMENT"]).not.toBe("development");
    expect(vars["PRIVATE_UPSTREAMS"]).toBeUndefined();
  }
});
