import { readdirSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";

/** For the gateway, which writes to the same file, to be done with it. */
export const WAIT_MS = 5_000;

/** D1's file in a state directory, opened beside the gateway: what somebody with access to the storage could do. */
export function databaseOf(stateDir: string): DatabaseSync {
  const folder = path.join(stateDir, "d1");
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".sqlite")) continue;
    const database = new DatabaseSync(path.join(folder, name), { timeout: WAIT_MS });
    const isOurs = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'secret_versions'").get();
    if (isOurs !== undefined) return database;
    database.close();
  }
  throw new Error("there is no D1 database");
}
