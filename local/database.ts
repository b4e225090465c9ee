import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { unstable_splitSqlQuery as splitStatements } from "wrangler";

/** A worker as workerd.capnp describes it, as far as the D1 implementation needs it. */
export interface WorkerConfig {
  modules: { name: string; esModule: string }[];
  bindings: ({ name: string } & Record<string, unknown>)[];
  [field: string]: unknown;
}
export interface ServiceConfig {
  name: string;
  worker?: WorkerConfig;
  [field: string]: unknown;
}
export interface WorkerdConfig {
  services: ServiceConfig[];
  extensions: { modules: { name: string; esModule: string; internal?: boolean }[] }[];
}

export interface DatabaseOptions {
  /** D1's files go to `<stateDir>/d1`. */
  stateDir: string;
  migrationsDir: string;
  binding: string;
  databaseId: string;
  compatibilityDate: string;
  compatibilityFlags: string[];
}

/**
 * Runs miniflare for a moment: applies the migrations that are not yet applied (table `d1_migrations`, as
 * `wrangler d1 migrations apply` keeps it; each file in one transaction) and answers with the configuration
 * miniflare gave to workerd, in which the local implementation of D1 is found.
 */
export async function prepareDatabase(
  options: DatabaseOptions,
): Promise<{ applied: string[]; config: WorkerdConfig }> {
  const dump = path.join(options.stateDir, `workerd-${randomUUID()}.json`);
  await mkdir(options.stateDir, { recursive: true });
  const before = process.env["MINIFLARE_WORKERD_CONFIG_DEBUG"];
  process.env["MINIFLARE_WORKERD_CONFIG_DEBUG"] = dump;
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      port: 0,
      telemetry: { enabled: false },
      resourcePersistencePath: options.stateDir,
      workers: [
        {
          name: "valetkey",
          modules: true,
          script: "export default {}",
          compatibilityDate: options.compatibilityDate,
          compatibilityFlags: options.compatibilityFlags,
          d1Databases: { [options.binding]: options.databaseId },
        },
      ],
    }),
  );
  try {
    await miniflare.ready;
    const applied = await applyMigrations(
      await miniflare.getD1Database(options.binding),
      options.migrationsDir,
    );
    const config: WorkerdConfig = JSON.parse(await readFile(dump, "utf8"));
    return { applied, config };
  } finally {
    await miniflare.dispose();
    if (before === undefined) delete process.env["MINIFLARE_WORKERD_CONFIG_DEBUG"];
    else process.env["MINIFLARE_WORKERD_CONFIG_DEBUG"] = before;
    await rm(dump, { force: true });
    await rm(path.join(options.stateDir, "cache"), { recursive: true, force: true });
  }
}

type Database = Awaited<ReturnType<Miniflare["getD1Database"]>>;

async function applyMigrations(database: Database, migrationsDir: string): Promise<string[]> {
  await database
    .prepare(
      "CREATE TABLE IF NOT EXISTS d1_migrations(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, " +
        "applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)",
    )
    .run();
  const { results } = await database.prepare("SELECT name FROM d1_migrations").all<{ name: string }>();
  const known = new Set(results.map((row) => row.name));
  const files = (await readdir(migrationsDir))
    .filter((name) => name.endsWith(".sql") && !known.has(name))
    .sort();
  for (const name of files) {
    const sql = await readFile(path.join(migrationsDir, name), "utf8");
    await database.batch([
      ...splitStatements(sql).map((statement) => database.prepare(statement)),
      database.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(name),
    ]);
  }
  return files;
}
