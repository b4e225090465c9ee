import { existsSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { WAIT_MS } from "./database.ts";

/** Where a token's object is woken from, and the object itself, in the state directory of a gateway. */
function filesOf(stateDir: string, tokenId: string) {
  const folder = path.join(stateDir, "do/valetkey-ScopedToken");
  const alarms = new DatabaseSync(path.join(folder, "metadata.sqlite"), { timeout: WAIT_MS });
  const row = alarms
    .prepare("SELECT actor_id, CAST(scheduled_time AS TEXT) AS due FROM _cf_ALARM WHERE actor_name = ?")
    .get(tokenId);
  return { alarms, row, object: path.join(folder, `${String(row?.["actor_id"])}.sqlite`) };
}

/** When a token's object wakes, in nanoseconds since 1970; null: never. */
export function alarmOf(stateDir: string, tokenId: string): string | null {
  const { alarms, row } = filesOf(stateDir, tokenId);
  alarms.close();
  return row === undefined ? null : String(row["due"]);
}

/** Sets a token's alarm to a second ago, while nothing serves the state: the next start runs it at once. */
export function makeAlarmDue(stateDir: string, tokenId: string): string {
  const { alarms, row, object } = filesOf(stateDir, tokenId);
  if (row === undefined || !existsSync(object)) throw new Error("the token's object has no alarm");
  const due = `${Date.now() - 1_000}000000`;
  alarms.prepare("UPDATE _cf_ALARM SET scheduled_time = ? WHERE actor_name = ?").run(BigInt(due), tokenId);
  alarms.close();
  const own = new DatabaseSync(object, { timeout: WAIT_MS });
  own.prepare("UPDATE _cf_METADATA SET value = ? WHERE key = 1").run(BigInt(due));
  own.close();
  return due;
}
