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
