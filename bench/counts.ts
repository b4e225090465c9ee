import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { see, startBenchGateway, type Surroundings } from "./contenders.ts";

/** What 100 warm calls of one token cost besides CPU, by the call. */
export interface Counts {
  calls: number;
  /** Round trips to Durable Objects, by object and method; `token.charge` is the one a call waits for. */
  roundTrips: Record<string, number>;
  /** Rows written, by object and kind of write; alarms and the hand-over to the ledger included. */
  rowsWritten: Record<string, number>;
  rowsPerCall: number;
  d1Queries: number;
  kmsCalls: number;
}

const CALLS = 100;
/** An event goes to the ledger about 3 s after its call at the latest. */
const HAND_OVER_MS = 3_600;

/**
 * Counts, on a gateway that counts what leaves its code (`worker/counting.ts`), 100 calls one after the other of one
 * token. Its first call, which reads the configuration and sets the object's alarm, is made before.
 */
export async function countCosts(surroundings: Surroundings): Promise<Counts> {
  const entry = path.join(import.meta.dirname, "worker/counting.ts");
  const contender = await startBenchGateway("counted", surroundings, { entry });
  try {
    const { url } = contender.gateway;
    await see(contender);
    await sleep(HAND_OVER_MS);
    const cold = await readCounts(url);
    for (const seen of ["d1.queries", "kms.calls", "rows.token.kv", "rows.token.alarm", "rows.ledger.sql"]) {
      if (!cold[seen])
        throw new Error(`the first call was counted without ${seen}: the counters do not see it`);
    }
    await fetch(`${url}/__counts`, { method: "DELETE" });
    for (let call = 0; call < CALLS; call += 1) await see(contender);
    await sleep(HAND_OVER_MS);
    const counted = await readCounts(url);
    const named = (prefix: string) =>
      Object.fromEntries(
        Object.entries(counted).flatMap(([name, value]) =>
          name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : [],
        ),
      );
    const rowsWritten = named("rows.");
    const rows = Object.values(rowsWritten).reduce((sum, value) => sum + value, 0);
    return {
      calls: CALLS,
      roundTrips: named("objects."),
      rowsWritten,
      rowsPerCall: rows / CALLS,
      d1Queries: counted["d1.queries"] ?? 0,
      kmsCalls: counted["kms.calls"] ?? 0,
    };
  } finally {
    await contender.stop();
  }
}

async function readCounts(url: string): Promise<Record<string, number>> {
  const response = await fetch(`${url}/__counts`);
  return z.record(z.string(), z.number()).parse(await response.json());
}
