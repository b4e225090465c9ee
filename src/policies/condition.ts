import { EvaluationError, ParseError, TypeError as CheckError, type ASTNode } from "@marcbachmann/cel-js";
import { BoundedCache } from "../base/cache.ts";
import { inTheirWords, languageOf, MAX_CONDITION_BYTES } from "./condition-language.ts";
import { meterSteps, type MeterSlot } from "./condition-meter.ts";
import { holdToRules, type ConditionReads, type Misstep } from "./condition-rules.ts";
import { Meter } from "./cost.ts";
import { activationOf, RequestFacts } from "./facts.ts";
import type { RequestView } from "./request-view.ts";
import type { PolicyEffect, PolicyFacts, PolicySubject } from "./verdict.ts";

/** What is wrong with a condition, and where: line and column count from 1. */
export interface ConditionFault {
  readonly message: string;
  readonly line: number;
  readonly column: number;
}

/** What a condition says of a call. `error`: it could not say, which fails closed; for the policy's author. */
export type ConditionResult =
  | { readonly kind: "value"; readonly value: boolean }
  | { readonly kind: "error"; readonly error: string };

/** The facts of one decision and what evaluating conditions on them has cost so far. */
export class Activation {
  readonly values: Record<string, unknown>;
  readonly meter: Meter;
  readonly #facts: PolicyFacts;
  #unescaped: Activation | null = null;

  constructor(facts: PolicyFacts, meter: Meter = new Meter()) {
    this.values = activationOf(facts);
    this.meter = meter;
    this.#facts = facts;
  }

  /**
   * The same call, as servers see it that undo the escapes of a path before they look at it; null where that makes no
   * difference, or no condition has looked at the path yet.
   */
  get unescaped(): Activation | null {
    const { request: view } = this.#facts;
    const { request } = this.values;
    if (view === null || !(request instanceof RequestFacts) || !request.isPathSeen) return null;
    if (this.#unescaped !== null || !view.path.includes("%")) return this.#unescaped;
    const path = { value: decodeURIComponent(view.path) };
    // What else there is of the call is read only when it is asked for.
    const unescaped: RequestView = Object.create(view, { path });
    return (this.#unescaped = new Activation({ ...this.#facts, request: unescaped }, this.meter));
  }
}

/** A condition whose names, types and bounds have been checked. Pure. */
export interface Condition {
  readonly reads: ConditionReads;
  evaluate(activation: Activation): ConditionResult;
}

/**
 * What a condition says of a call under both readings of its path, escaped and not (`Activation.unescaped`): whatever an
 * upstream makes of `%2F`, what denies or asks is true where either reading makes it so, and what allows where both do.
 */
export function holds(condition: Condition, effect: PolicyEffect, activation: Activation): ConditionResult {
  const plain = condition.evaluate(activation);
  const isSettled = plain.kind === "value" && plain.value === (effect !== "allow");
  if (isSettled) return plain;
  const { unescaped } = activation;
  if (unescaped === null || (effect === "allow" && plain.kind === "error")) return plain;
  const other = condition.evaluate(unescaped);
  return other.kind === "value" && other.value === (effect === "allow") ? plain : other;
}

export type Compilation =
  | { readonly kind: "condition"; readonly condition: Condition }
  | { readonly kind: "faults"; readonly faults: readonly [ConditionFault, ...ConditionFault[]] };

const TRUE: ConditionResult = { kind: "value", value: true };
const FALSE: ConditionResult = { kind: "value", value: false };
const NOT_BOOLEAN: ConditionResult = { kind: "error", error: "The condition is neither true nor false." };
const TOO_COSTLY: ConditionResult = {
  kind: "error",
  error: "The condition takes too many steps on this call.",
};

const compiled = new BoundedCache<string, Compilation>(2_000);

/** Compiles a condition on a subject, or says what is wrong with it. Compiled ones are kept, by their text. */
export function compileCondition(text: string, subject: PolicySubject): Compilation {
  const key = `${subject} ${text}`;
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const compilation = compile(text, subject);
  if (compilation.kind === "condition") compiled.set(key, compilation);
  return compilation;
}

function compile(text: string, subject: PolicySubject): Compilation {
  if (new TextEncoder().encode(text).length > MAX_CONDITION_BYTES) {
    const message = `A condition must not be longer than ${MAX_CONDITION_BYTES} bytes.`;
    return { kind: "faults", faults: [{ message, line: 1, column: 1 }] };
  }
  try {
    const parsed = languageOf(subject).parse(text);
    const { reads, missteps } = holdToRules(parsed.ast, subject);
    const [first, ...rest] = missteps.map((misstep) => faultAt(text, misstep));
    if (first !== undefined) return { kind: "faults", faults: [first, ...rest] };
    const checked = parsed.check();
    if (!checked.valid) return faultOf(text, checked.error);
    if (checked.type !== "bool" && checked.type !== "dyn") {
      const message = `A condition must be true or false; this is ${inTheirWords(checked.type ?? "neither")}.`;
      return { kind: "faults", faults: [faultAt(text, { message, at: parsed.ast.start })] };
    }
    return { kind: "condition", condition: conditionOf(parsed, parsed.ast, reads) };
  } catch (error) {
    return faultOf(text, error);
  }
}

function conditionOf(
  run: (values: Record<string, unknown>) => unknown,
  root: ASTNode,
  reads: ConditionReads,
): Condition {
  const slot: MeterSlot = { meter: new Meter() };
  const steps = meterSteps(root, slot);
  return {
    reads,
    evaluate({ values, meter }) {
      slot.meter = meter;
      try {
        meter.charge(steps);
        const value = run(values);
        if (meter.spent) return TOO_COSTLY;
        if (typeof value !== "boolean") return NOT_BOOLEAN;
        return value ? TRUE : FALSE;
      } catch (error) {
        return meter.spent ? TOO_COSTLY : { kind: "error", error: wordsOf(error) };
      }
    },
  };
}

function wordsOf(error: unknown): string {
  if (error instanceof EvaluationError || error instanceof ParseError || error instanceof CheckError)
    return inTheirWords(error.summary);
  return error instanceof Error ? error.message : "The condition cannot be evaluated.";
}

function faultOf(text: string, error: unknown): Compilation {
  const at =
    error instanceof ParseError || error instanceof CheckError || error instanceof EvaluationError
      ? (error.range?.start ?? 0)
      : 0;
  return { kind: "faults", faults: [faultAt(text, { message: wordsOf(error), at })] };
}

function faultAt(text: string, { message, at }: Misstep): ConditionFault {
  const before = text.slice(0, at).split("\n");
  return { message, line: before.length, column: (before.at(-1) ?? "").length + 1 };
}
