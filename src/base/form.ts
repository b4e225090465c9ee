import type { z } from "zod";
import { Problem } from "./problem.ts";
import { check, readBody } from "./request.ts";

const MAX_FORM_BYTES = 16_384;

/** Parses an `application/x-www-form-urlencoded` body of at most 16 KiB. Each field may be given once (RFC 6749 §3.2). */
export async function readForm<T>(request: Request, schema: z.ZodType<T>): Promise<T> {
  const fields = [...new URLSearchParams(new TextDecoder().decode(await readBody(request, MAX_FORM_BYTES)))];
  const byName = new Map(fields);
  if (byName.size < fields.length) {
    throw new Problem("VALIDATION_ERROR", "Each field of the form may be given once.");
  }
  return check(schema, Object.fromEntries(byName));
}
