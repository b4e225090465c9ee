import { z } from "zod";
import { Problem } from "./problem.ts";

/** Query parameters of every list: `limit` 1 to 200 (50 if left out) and the opaque `cursor` of the page before. */
export const pageSchema = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(512).optional(),
});

export type Page = z.infer<typeof pageSchema>;

/** A cursor is the sort key of the last row of a page, so that it stays right while rows are added. */
export function encodeCursor(key: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(key)).toString("base64url");
}

/** A page of rows, of which one more than `limit` was read, and where the next one begins; null: there is none. */
export function pageOf<T>(
  rows: readonly T[],
  limit: number,
  keyOf: (last: T) => readonly (string | number)[],
): { readonly items: readonly T[]; readonly nextCursor: string | null } {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last !== undefined ? encodeCursor(keyOf(last)) : null };
}

/** Throws VALIDATION_ERROR for what `encodeCursor` did not make. */
export function decodeCursor<T>(cursor: string, schema: z.ZodType<T>): T {
  try {
    return schema.parse(JSON.parse(Buffer.from(cursor, "base64url").toString()));
  } catch {
    throw new Problem(
      "VALIDATION_ERROR",
      "`cursor` is not one of this list: leave it out to begin at the start.",
    );
  }
}
