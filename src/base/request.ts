import type { z } from "zod";
import { Problem } from "./problem.ts";

/** What every room may know of the request it works for. `ip` is null where the platform told none. */
export interface RequestInfo {
  readonly requestId: string;
  readonly ip: string | null;
  readonly userAgent: string | null;
}

const MAX_JSON_BYTES = 1024 * 1024;

/** Reads a body of at most `maxBytes`, counting what really arrives; beyond it: BODY_TOO_LARGE. */
export async function readBody(request: Request, maxBytes: number): Promise<Uint8Array> {
  const tooLarge = () => new Problem("BODY_TOO_LARGE", `The body may have at most ${maxBytes} bytes.`);
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge();
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > maxBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}

/** Parses a JSON body against a schema. Throws VALIDATION_ERROR with a path and message per fault. */
export async function readJson<T>(request: Request, schema: z.ZodType<T>): Promise<T> {
  const bytes = await readBody(request, MAX_JSON_BYTES);
  let value: unknown;
  try {
    value =
      bytes.byteLength === 0
        ? {}
        : JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes));
  } catch {
    throw new Problem("VALIDATION_ERROR", "The body is not valid JSON in UTF-8.");
  }
  return check(schema, value);
}

/** Checks a value from outside against a schema; the thrown Problem names what was wrong, never the value. */
export function check<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const errors = result.error.issues.map((issue) => ({
    path: issue.path.map(String).join("."),
    message: issue.message,
  }));
  const first = errors[0];
  const where = first?.path ? `\`${first.path}\`: ` : "";
  throw new Problem("VALIDATION_ERROR", `${where}${first?.message ?? "not valid"}`, {
    errors: errors.slice(0, 20),
  });
}
