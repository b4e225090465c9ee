import { type InputFault, Problem } from "../base/problem.ts";
import { compileCondition, type ConditionFault } from "./condition.ts";
import type { PolicyContent } from "./tables.ts";

/** As much of a line as is shown, most of it before the place. */
const BEFORE = 50;
const SHOWN = 70;

/** Throws VALIDATION_ERROR that points at each place where a policy's condition is none. */
export function checkCondition({ condition, on }: PolicyContent, path = "condition"): void {
  if (condition === null) return;
  const compilation = compileCondition(condition, on);
  if (compilation.kind === "condition") return;
  const errors = compilation.faults.map((fault): InputFault => ({
    path,
    message: `${fault.message}\n${pointingAt(condition, fault)}`,
    line: fault.line,
    column: fault.column,
  }));
  const [{ message, line, column }] = compilation.faults;
  throw new Problem("VALIDATION_ERROR", `${path}, line ${line}, column ${column}: ${message}`, { errors });
}

/** The line with a caret below the place. */
function pointingAt(text: string, { line, column }: ConditionFault): string {
  const whole = (text.split("\n")[line - 1] ?? "").replace(/\p{C}/gu, " ");
  const from = Math.max(0, column - 1 - BEFORE);
  return `${whole.slice(from, from + SHOWN)}\n${" ".repeat(column - 1 - from)}^`;
}
