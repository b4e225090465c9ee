import type { ASTNode } from "@marcbachmann/cel-js";
import { ourName } from "./condition-language.ts";
import type { Meter } from "./cost.ts";
import { linearPattern } from "./regex.ts";

/** Instructions of a pattern's program that one character of text goes through in one step. */
const INSTRUCTIONS_A_STEP = 4;
/** The evaluator makes an Error with the place drawn into its message. */
const ERROR_STEPS = 400;
/** `has` looks up one path. */
const HAS_STEPS = 4;

const OPERATORS: ReadonlySet<string> = new Set("== != < <= > >= + - * / % in".split(" "));
const MATCHES = ourName("matches");
/** Of reading an address, and of asking the platform for the offset of a zone. */
const SLOW_STEPS = 200;
const IN_RANGE = ourName("inRange");
const GETTER = ourName("get");

/** Where a metered condition finds the meter of the decision that it is evaluated in. */
export interface MeterSlot {
  meter: Meter;
}

type Evaluate = (evaluator: unknown, node: unknown, context: unknown) => unknown;
/** Binary operations: left, right, node, evaluator. Calls: arguments, and two more. Loops: items, and three more. */
type Handle = (first: unknown, second: unknown, third: unknown, fourth: unknown) => unknown;

/**
 * A node as the evaluator has it once the types are checked. This is not in its declarations: every node is held to
 * this shape, so that another version of it refuses all conditions instead of running them unmetered.
 */
interface CheckedNode {
  readonly op: string;
  readonly args: unknown;
  handle?: unknown;
  readonly meta: {
    readonly evaluate: Evaluate;
    /** What a loop was expanded to; it stands for the node. */
    readonly alternate?: unknown;
    /** What evaluates instead: `has`. */
    readonly macro?: unknown;
  };
  setMeta(key: "evaluate", value: Evaluate): unknown;
}

interface Loop {
  readonly iterable: unknown;
  readonly init: unknown;
  readonly step: unknown;
  /** Where a running loop keeps the element and what it has so far. */
  readonly iterCtx: { reuse(parent: null): unknown; iterValue?: unknown; accuValue?: unknown };
}

function isNode(value: unknown): value is CheckedNode {
  if (typeof value !== "object" || value === null || !("op" in value)) return false;
  if (!("setMeta" in value) || typeof value.setMeta !== "function" || !("meta" in value)) return false;
  const { meta } = value;
  return (
    typeof meta === "object" && meta !== null && "evaluate" in meta && typeof meta.evaluate === "function"
  );
}

function nodeOf(value: unknown): CheckedNode {
  if (isNode(value)) return value;
  throw new Error("The evaluator's nodes have another shape.");
}

/**
 * Makes a checked condition count its steps into the slot's meter as it is evaluated, and gives how many it takes by
 * itself, loops and data aside.
 */
export function meterSteps(root: ASTNode, slot: MeterSlot): number {
  return meterNode(nodeOf(root), slot);
}

function meterNode(node: CheckedNode, slot: MeterSlot): number {
  const { alternate, macro } = node.meta;
  if (alternate !== undefined) return meterNode(nodeOf(alternate), slot);
  if (macro !== undefined) return meterMacro(macro, slot);
  if (node.op === "value") return 1;
  meterErrors(node, slot);
  if (node.op === "comprehension") return meterLoop(node, slot);
  if (OPERATORS.has(node.op)) {
    meterHandle(node, (left, right) =>
      slot.meter.charge(slot.meter.stepsOf(left) + slot.meter.stepsOf(right)),
    );
  } else if (node.op === "call" || node.op === "rcall") {
    meterCall(node, slot);
  }
  const args: readonly unknown[] = Array.isArray(node.args) ? node.args.flat(1) : [node.args];
  return args.filter(isNode).reduce((steps, child) => steps + meterNode(child, slot), 1);
}

function meterCall(node: CheckedNode, slot: MeterSlot): void {
  const name: unknown = Array.isArray(node.args) ? node.args[0] : null;
  if (typeof name !== "string") throw new Error("The evaluator's calls have another shape.");
  meterHandle(node, (args) => {
    if (!Array.isArray(args)) throw new Error("The evaluator's calls have another shape.");
    const given: readonly unknown[] = args;
    let steps = callSteps(name, given);
    for (const arg of given) steps += slot.meter.stepsOf(arg);
    slot.meter.charge(steps);
  });
}

/** Beyond looking at the arguments. */
function callSteps(name: string, given: readonly unknown[]): number {
  if (name === MATCHES) return matchSteps(given);
  return name === IN_RANGE || (name.startsWith(GETTER) && given.length > 1) ? SLOW_STEPS : 0;
}

/** As if every character went through every instruction. */
function matchSteps([text, literal]: readonly unknown[]): number {
  if (typeof text !== "string" || typeof literal !== "string") return 0;
  const pattern = linearPattern(literal);
  return typeof pattern === "string" ? 0 : (text.length * pattern.size) / INSTRUCTIONS_A_STEP;
}

/** A loop takes all the steps of what it does with an element, for every element; paid before the first. */
function meterLoop(node: CheckedNode, slot: MeterSlot): number {
  if (!isLoop(node.args)) throw new Error("The evaluator's loops have another shape.");
  const { iterable, init, step, iterCtx } = node.args;
  const before = meterNode(nodeOf(iterable), slot) + meterNode(nodeOf(init), slot);
  const each = meterNode(nodeOf(step), slot);
  meterHandle(
    node,
    (items) => slot.meter.charge(countOf(items) * each),
    () => {
      // Conditions are kept for long: what they looked at last is not.
      iterCtx.reuse(null);
      iterCtx.iterValue = undefined;
      iterCtx.accuValue = undefined;
    },
  );
  return before + 1;
}

function isLoop(args: unknown): args is Loop {
  if (typeof args !== "object" || args === null) return false;
  if (!("iterable" in args && "init" in args && "step" in args && "iterCtx" in args)) return false;
  const { iterCtx } = args;
  return (
    typeof iterCtx === "object" &&
    iterCtx !== null &&
    "reuse" in iterCtx &&
    typeof iterCtx.reuse === "function"
  );
}

function countOf(items: unknown): number {
  if (Array.isArray(items)) return items.length;
  if (items instanceof Map || items instanceof Set) return items.size;
  return typeof items === "object" && items !== null ? Object.keys(items).length : 0;
}

function meterMacro(macro: unknown, slot: MeterSlot): number {
  if (typeof macro !== "object" || macro === null || !("evaluate" in macro))
    throw new Error("The evaluator's macros have another shape.");
  const evaluate = macro.evaluate as Evaluate;
  macro.evaluate = charged(evaluate, slot);
  return HAS_STEPS;
}

function meterErrors(node: CheckedNode, slot: MeterSlot): void {
  node.setMeta("evaluate", charged(node.meta.evaluate, slot));
}

/** Loops and logic catch errors, so that a condition can make one for every element of a body. */
function charged(evaluate: Evaluate, slot: MeterSlot): Evaluate {
  return (evaluator, node, context) => {
    slot.meter.charge(0);
    try {
      return evaluate(evaluator, node, context);
    } catch (error) {
      slot.meter.charge(ERROR_STEPS);
      throw error;
    }
  };
}

function meterHandle(
  node: CheckedNode,
  before: (first: unknown, second: unknown) => void,
  after?: () => void,
): void {
  const { handle } = node;
  if (typeof handle !== "function") throw new Error("The evaluator's operations have another shape.");
  const run = handle as Handle;
  node.handle = (first: unknown, second: unknown, third: unknown, fourth: unknown) => {
    before(first, second);
    try {
      return run(first, second, third, fourth);
    } finally {
      after?.();
    }
  };
}
