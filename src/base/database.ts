import { drizzle, type DrizzleD1Database } from "drizzle-orm/d1";
import type { BatchItem } from "drizzle-orm/batch";

export type Database = DrizzleD1Database<Record<string, never>> & { readonly $client: D1Database };

/** One statement of an atomic D1 batch. */
export type Statement = BatchItem<"sqlite">;

/** The D1 database through drizzle; `casing` matches drizzle.config.ts, from which migrations are generated. */
export function openDatabase(d1: D1Database): Database {
  return drizzle(d1, { casing: "snake_case" }) as Database;
}
