import { tests as conformance } from "@bufbuild/cel-spec/testdata/conformance.js";
import { expect, test } from "vitest";
import { Activation, compileCondition } from "../../../src/policies/condition.ts";
import { callFacts } from "./engine-facts.ts";

/** The public conformance data of CEL (google/cel-spec v0.25.1), as @bufbuild/cel-spec has it. */
interface Suite {
  readonly name: string;
  readonly suites?: readonly Suite[];
  readonly tests?: readonly { readonly original: Original }[];
}

interface Original {
  readonly name?: string;
  readonly expr: string;
  readonly value?: Readonly<Record<string, unknown>>;
  readonly evalError?: unknown;
  readonly bindings?: unknown;
}

/** The parts of the language that conditions have: no protocol buffers, no extensions. */
const SECTIONS: ReadonlySet<string> = new Set([
  ...["basic", "comparisons", "conversions", "fields", "fp_math", "integer_math", "lists", "logic", "macros"],
  ...["parse", "plumbing", "string", "timestamps"],
]);

/**
 * Where the evaluator differs: at the very ends of the ranges of int, timestamp and duration (2^63, the years 1 and
 * 9999, ten thousand years), and in nanoseconds of timestamps. No JSON number, no clock gets there.
 */
const KNOWN: ReadonlySet<string> = new Set([
  "dyn(9223372036854775807) < 9223372036854775808.0",
  "dyn(9223372036854775808.0) > 9223372036854775807",
  "dyn(9223372036854775808.0) <= 9223372036854775807",
  "dyn(9223372036854775807) >= 9223372036854775808.0",
  "-(-9223372036854775808)",
  "(-9223372036854775808)/-1",
  "timestamp('0001-01-01T00:00:01.999999999Z') + duration('999999999ns') == timestamp('0001-01-01T00:00:02.999999998Z')",
  "timestamp('0001-01-01T00:00:00Z') + duration('-1s')",
  "timestamp('9999-12-31T23:59:59Z') + duration('1s')",
  "timestamp('9999-12-31T23:59:59.999999999Z') + duration('1ns')",
  "timestamp('0001-01-01T00:00:00Z') + duration('-1ns')",
  "timestamp('9999-12-31T23:59:59Z') - timestamp('0001-01-01T00:00:00Z')",
  "timestamp('0001-01-01T00:00:00Z') - timestamp('9999-12-31T23:59:59Z')",
  "duration('-320000000000s')",
  "duration('320000000000s')",
  "duration('-200000000000s') + duration('-200000000000s')",
  "duration('200000000000s') + duration('200000000000s')",
  "duration('-200000000000s') - duration('200000000000s')",
  "duration('200000000000s') - duration('-200000000000s')",
]);

function literalOf(value: unknown): string | null {
  if (typeof value !== "object" || value === null) return null;
  const [kind, of] = Object.entries(value)[0] ?? [];
  switch (kind) {
    case "boolValue":
      return String(of);
    case "int64Value":
      return of === "-9223372036854775808" ? null : `(${String(of)})`;
    case "doubleValue":
      return typeof of === "number" ? `double(${JSON.stringify(String(of))})` : null;
    case "stringValue":
      return typeof of === "string" && /^[\x20-\x7e]*$/.test(of) ? JSON.stringify(of) : null;
    case "nullValue":
      return "null";
    default:
      return null;
  }
}

function* all(suite: Suite): Generator<Original> {
  for (const { original } of suite.tests ?? []) yield original;
  for (const below of suite.suites ?? []) yield* all(below);
}

type Outcome = "agrees" | "refused" | "left out" | "differs";

function outcomeOf({ expr, value, evalError, bindings }: Original): Outcome {
  if (bindings !== undefined) return "left out";
  const fails = evalError !== undefined;
  const literal = fails ? "true" : literalOf(value ?? { boolValue: true });
  if (literal === null) return "left out";
  const compilation = compileCondition(`dyn(${expr}) == ${literal}`, "calls");
  if (compilation.kind === "faults") return "refused";
  const result = compilation.condition.evaluate(new Activation(callFacts()));
  if (fails) return result.kind === "error" ? "agrees" : "differs";
  return result.kind === "value" && result.value ? "agrees" : "differs";
}

test("what a condition may say, it means as CEL's public conformance data has it", () => {
  const suite: Suite = conformance;
  const count: Record<Outcome, number> = { agrees: 0, refused: 0, "left out": 0, differs: 0 };
  const differing: string[] = [];
  for (const section of suite.suites ?? []) {
    if (!SECTIONS.has(section.name)) continue;
    for (const original of all(section)) {
      const outcome = outcomeOf(original);
      count[outcome] += 1;
      if (outcome === "differs") differing.push(original.expr);
    }
  }
  expect(differing.toSorted()).toEqual([...KNOWN].toSorted());
  expect(count.agrees).toBeGreaterThanOrEqual(537);
});
