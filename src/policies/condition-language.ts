import { Environment } from "@marcbachmann/cel-js";
import type { Duration } from "@marcbachmann/cel-js/evaluator";
import { canonicalAddress, cidrSchema, inAllowlist } from "../base/address.ts";
import { BoundedCache } from "../base/cache.ts";
import { inZone, isZone } from "./condition-zone.ts";
import { FACT_TYPES, FACT_VARIABLES } from "./facts.ts";
import { linearPattern } from "./regex.ts";
import type { PolicySubject } from "./verdict.ts";

/** Of one condition. */
export const MAX_CONDITION_BYTES = 4096;
const LIMITS = {
  maxAstNodes: 500,
  maxDepth: 64,
  maxListElements: 200,
  maxMapEntries: 50,
  maxCallArguments: 4,
};

const TIMESTAMP = "google.protobuf.Timestamp";
const DURATION = "google.protobuf.Duration";

/**
 * Methods that are ours under a name of their own, since the evaluator's cannot be replaced: its `matches` backtracks,
 * its time zones are slow and know no offsets, its `lowerAscii` also lowers what is not ASCII.
 */
const PREFIX = "our_";

/** A getter of CEL's, from the date whose UTC fields are the wall clock. */
const GETTERS: Readonly<Record<string, (date: Date) => number>> = {
  getFullYear: (date) => date.getUTCFullYear(),
  getMonth: (date) => date.getUTCMonth(),
  getDate: (date) => date.getUTCDate(),
  getDayOfMonth: (date) => date.getUTCDate() - 1,
  getDayOfWeek: (date) => date.getUTCDay(),
  getDayOfYear: (date) =>
    Math.floor((date.getTime() - new Date(date).setUTCMonth(0, 1)) / (24 * 60 * 60 * 1000)),
  getHours: (date) => date.getUTCHours(),
  getMinutes: (date) => date.getUTCMinutes(),
  getSeconds: (date) => date.getUTCSeconds(),
  getMilliseconds: (date) => date.getUTCMilliseconds(),
};

/** What is wrong with a literal argument, for its author; null: nothing. */
type LiteralCheck = (literal: string) => string | null;

function zoneFault(literal: string): string | null {
  return isZone(literal) ? null : `There is no time zone "${literal}".`;
}

function patternFault(literal: string): string | null {
  const pattern = linearPattern(literal);
  return typeof pattern === "string" ? pattern : null;
}

function cidrFault(literal: string): string | null {
  const parsed = cidrSchema.safeParse(literal);
  if (parsed.success) return null;
  return `"${literal}" ${parsed.error.issues[0]?.message ?? "is no address range"}`;
}

/** Methods that are ours; the argument, where there is one, is a literal that is checked when the condition is saved. */
export const OUR_METHODS: ReadonlyMap<string, LiteralCheck> = new Map<string, LiteralCheck>([
  ["matches", patternFault],
  ["inRange", cidrFault],
  ["lowerAscii", () => null],
  ["upperAscii", () => null],
  ...Object.keys(GETTERS).map((name) => [name, zoneFault] as const),
]);

/** The evaluator's own methods and functions that a condition may use; everything else is refused. */
export const METHODS: ReadonlySet<string> = new Set(["size", "contains", "startsWith", "endsWith"]);
export const MACROS: ReadonlySet<string> = new Set(["all", "exists", "exists_one", "map", "filter"]);
export const FUNCTIONS: ReadonlySet<string> = new Set([
  ...["has", "size", "dyn", "type", "bool", "int", "double", "string", "timestamp", "duration"],
]);
/** Functions that take a literal: the evaluator's `duration` is quadratic in digits without a unit (attack 88). */
export const LITERAL_FUNCTIONS: ReadonlySet<string> = new Set(["duration"]);
/** Functions that are ours: the evaluator's `int` lets numbers through that are none. */
export const OUR_FUNCTIONS: ReadonlySet<string> = new Set(["int"]);
/** What `type()` gives. */
export const TYPE_NAMES: ReadonlySet<string> = new Set([
  ...["bool", "int", "double", "string", "list", "map", "null_type"],
]);

export function ourName(method: string): string {
  return `${PREFIX}${method}`;
}

/** A message of the evaluator's, with the names that the author wrote. */
export function inTheirWords(message: string): string {
  return message.replaceAll(PREFIX, "").replaceAll("google.protobuf.", "").replaceAll("null_type", "null");
}

/** The text with its characters from one code to another shifted. */
function shifted(text: string, from: number, to: number, by: number): string {
  const bytes = Buffer.from(text, "utf16le");
  for (let at = 0; at < bytes.length; at += 2) {
    const code = bytes[at] ?? 0;
    if (code >= from && code <= to && bytes[at + 1] === 0) bytes[at] = code + by;
  }
  return bytes.toString("utf16le");
}

/** Agents call from few addresses, and reading one takes a while. */
const MAX_ADDRESS_LENGTH = 64;
const answers = new BoundedCache<string, boolean>(1_000);

function inRange(text: string, cidr: string): boolean {
  const key = `${cidr} ${text}`;
  const known = answers.get(key);
  if (known !== undefined) return known;
  const address = text.length > MAX_ADDRESS_LENGTH ? null : canonicalAddress(text);
  if (address === null) throw new Error("This is no address.");
  const answer = inAllowlist(address, [cidrSchema.parse(cidr)]);
  answers.set(key, answer);
  return answer;
}

function integer(value: number): bigint {
  if (Math.abs(value) < 2 ** 63) return BigInt(Math.trunc(value));
  throw new Error("The number is too large for int.");
}

function integerIn(text: string): bigint {
  if (!/^-?[0-9]{1,19}$/.test(text)) throw new Error("This text is no int.");
  const value = BigInt(text);
  if (BigInt.asIntN(64, value) !== value) throw new Error("The number is too large for int.");
  return value;
}

function addOurFunctions(environment: Environment): void {
  const conversion = (from: string, handler: (given: never) => bigint) =>
    environment.registerFunction(`${ourName("int")}(${from}): int`, handler, { async: false });
  conversion("int", (value: bigint) => value);
  conversion("double", integer);
  conversion("string", integerIn);
  conversion(TIMESTAMP, (date: Date) => BigInt(Math.floor(date.getTime() / 1000)));
}

function addOurMethods(environment: Environment): void {
  const method = (signature: string, handler: (...given: never[]) => unknown) =>
    environment.registerFunction(signature, handler, { async: false });
  method(`string.${ourName("matches")}(string): bool`, (text: string, literal: string) => {
    const pattern = linearPattern(literal);
    if (typeof pattern === "string") throw new Error(pattern);
    return pattern.test(text);
  });
  method(`string.${ourName("inRange")}(string): bool`, inRange);
  method(`string.${ourName("lowerAscii")}(): string`, (text: string) => shifted(text, 65, 90, 32));
  method(`string.${ourName("upperAscii")}(): string`, (text: string) => shifted(text, 97, 122, -32));
  for (const [name, get] of Object.entries(GETTERS)) {
    method(`${TIMESTAMP}.${ourName(name)}(): int`, (date: Date) => BigInt(get(date)));
    method(`${TIMESTAMP}.${ourName(name)}(string): int`, (date: Date, zone: string) =>
      BigInt(get(inZone(date, zone))),
    );
  }
  method(`${DURATION}.${ourName("getHours")}(): int`, (span: Duration) => span.getHours());
  method(`${DURATION}.${ourName("getMinutes")}(): int`, (span: Duration) => span.getMinutes());
  method(`${DURATION}.${ourName("getSeconds")}(): int`, (span: Duration) => span.getSeconds());
}

function environmentFor(subject: PolicySubject): Environment {
  // JSON mixes types in lists and objects, and so may what they are compared with.
  const environment = new Environment({ homogeneousAggregateLiterals: false, limits: LIMITS });
  for (const [name, { ctor, fields }] of Object.entries(FACT_TYPES))
    environment.registerType(name, { ctor, fields: { ...fields } });
  for (const [name, type] of Object.entries(FACT_VARIABLES[subject]))
    environment.registerVariable(name, type);
  addOurFunctions(environment);
  addOurMethods(environment);
  return environment;
}

const environments = new Map<PolicySubject, Environment>();

/** The language of conditions on a subject: its variables, its functions, its limits. */
export function languageOf(subject: PolicySubject): Environment {
  const known = environments.get(subject);
  if (known !== undefined) return known;
  const environment = environmentFor(subject);
  environments.set(subject, environment);
  return environment;
}
