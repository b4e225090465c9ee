import type { z } from "zod";
import { Arrival, type ArrivalLimits } from "./arrival.ts";
import { isDeeperThan } from "./json-depth.ts";
import { Problem } from "./problem.ts";

/** What every room may know of the request it works for. `ip` is null where the platform told none. */
export interface RequestInfo {
  readonly requestId: string;
  readonly ip: string | null;
  readonly userAgent: string | null;
}

const MAX_USER_AGENT = 512;

/** The user agent as it is kept: cut, since it is written down with every event. */
export function userAgentOf(headers: Headers): string | null {
  return headers.get("user-agent")?.slice(0, MAX_USER_AGENT) ?? null;
}

export const MAX_JSON_BYTES = 1024 * 1024;

/** What a body is first given room for, whatever it says of itself; it doubles from there. */
const FIRST_ROOM_BYTES = 16_384;
const ARRIVES: ArrivalLimits = { idleMs: 10_000, totalMs: 30_000 };

/**
 * Reads a body of at most `maxBytes`, counting what really arrives; beyond it: BODY_TOO_LARGE. One that stops arriving
 * for `idleMs` (10 s if left out) or is not there after `totalMs` (30 s): BODY_TIMEOUT.
 */
export async function readBody(
  request: Request,
  maxBytes: number,
  limits: Partial<ArrivalLimits> = {},
): Promise<Uint8Array> {
  const said = Number(request.headers.get("content-length") ?? 0);
  return readStream(request.body, said, maxBytes, { ...ARRIVES, ...limits });
}

/** As `readBody`; `said` is how many bytes it is to have, 0 where that is not told. */
export async function readStream(
  body: ReadableStream | null,
  said: number,
  maxBytes: number,
  limits: ArrivalLimits,
): Promise<Uint8Array> {
  if (said > maxBytes) throw tooLarge(maxBytes);
  if (body === null) return new Uint8Array();
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  let expire: (problem: Problem) => void = () => undefined;
  let problem: Problem | null = null;
  const arrival = new Arrival(limits, (late) => {
    problem = late;
    expire(late);
  });
  // One promise a read: racing each with a common one would hold on to every answer until the deadline.
  const next = (): ReturnType<typeof reader.read> =>
    new Promise((resolve, reject) => {
      expire = reject;
      arrival.waits();
      if (problem !== null) reject(problem);
      else reader.read().then(resolve, reject);
    });
  try {
    let room = new Uint8Array(Math.min(maxBytes, said > 0 ? said : FIRST_ROOM_BYTES, FIRST_ROOM_BYTES));
    let size = 0;
    for (let { done, value } = await next(); !done && value !== undefined; { done, value } = await next()) {
      const end = size + value.byteLength;
      if (end > maxBytes) throw tooLarge(maxBytes);
      if (end > room.byteLength) {
        const larger = new Uint8Array(Math.min(maxBytes, Math.max(end, room.byteLength * 2)));
        larger.set(room.subarray(0, size));
        room = larger;
      }
      // Copied, since the platform keeps several kilobytes for every chunk that is held, however small.
      room.set(value, size);
      size = end;
    }
    return room.subarray(0, size);
  } catch (error) {
    reader.cancel().catch(() => undefined);
    throw error;
  } finally {
    arrival.end();
  }
}

/** The refusal of a body beyond its limit. */
export function tooLarge(maxBytes: number): Problem {
  return new Problem("BODY_TOO_LARGE", `The body may have at most ${maxBytes} bytes.`);
}

/** Deeper than anything that the API takes; what takes JSON of any shape keeps it as deep as it came. */
const MAX_JSON_DEPTH = 32;

/** Throws JSON_TOO_DEEP. Asked before anything parses: what works on JSON may well be recursive. */
export function checkDepth(json: Uint8Array, levels: number): void {
  if (!isDeeperThan(levels, json)) return;
  throw new Problem("JSON_TOO_DEEP", `The JSON is nested more than ${levels} levels deep.`, {
    why: "Send it flatter.",
  });
}

/** Parses a JSON body against a schema. Throws JSON_TOO_DEEP, and VALIDATION_ERROR with a path and message per fault. */
export async function readJson<T>(request: Request, schema: z.ZodType<T>): Promise<T> {
  const bytes = await readBody(request, MAX_JSON_BYTES);
  checkDepth(bytes, MAX_JSON_DEPTH);
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
  const errors = faultsOf(result.error.issues);
  const first = errors[0];
  const where = first?.path ? `\`${first.path}\`: ` : "";
  throw new Problem("VALIDATION_ERROR", `${where}${first?.message ?? "not valid"}`, { errors });
}

const MAX_FAULTS = 20;
const MAX_NAMES = 5;
const NAME = /^[A-Za-z0-9_.-]{1,40}$/;
const TOKEN = /vk[tambeso]_/;

/**
 * The first faults of a value, without a word of it: a member's name is repeated only where it looks like one, since
 * people paste secrets, and send whole bodies, as names.
 */
export function faultsOf(
  issues: readonly z.core.$ZodIssue[],
): readonly { readonly path: string; readonly message: string }[] {
  return issues.slice(0, MAX_FAULTS).map((issue) => ({
    path: issue.path.map((part) => (isName(String(part)) ? String(part) : "(a member)")).join("."),
    message: issue.code === "unrecognized_keys" ? unknownMembers(issue.keys) : issue.message,
  }));
}

function unknownMembers(names: readonly string[]): string {
  if (names.length > MAX_NAMES || !names.every(isName)) return "has an unknown member";
  return `has an unknown member: ${names.map((name) => `"${name}"`).join(", ")}`;
}

function isName(text: string): boolean {
  return NAME.test(text) && !TOKEN.test(text);
}
