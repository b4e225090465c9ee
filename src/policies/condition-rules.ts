import type { ASTNode } from "@marcbachmann/cel-js";
import { UnsignedInt } from "@marcbachmann/cel-js/evaluator";
import {
  FUNCTIONS,
  LITERAL_FUNCTIONS,
  MACROS,
  METHODS,
  OUR_FUNCTIONS,
  OUR_METHODS,
  ourName,
  TYPE_NAMES,
} from "./condition-language.ts";
import { FACT_TYPES, FACT_VARIABLES } from "./facts.ts";
import { POLICY_SUBJECTS, type PolicySubject } from "./verdict.ts";

const MAX_LOOP_DEPTH = 2;

/** Which parts of a call a condition looks into; `agent`: more of the agent than its id. */
export interface ConditionReads {
  readonly body: boolean;
  readonly query: boolean;
  readonly headers: boolean;
  readonly agent: boolean;
}

/** Something wrong at a place; `at`: characters from the beginning. */
export interface Misstep {
  readonly message: string;
  readonly at: number;
}

/** The fields of a variable that is an object of ours, by the variable's name. */
function fieldsOf(subject: PolicySubject, variable: string): readonly string[] | null {
  const type = FACT_VARIABLES[subject][variable];
  const found = Object.entries(FACT_TYPES).find(([name]) => name === type);
  return found === undefined ? null : Object.keys(found[1].fields);
}

/**
 * Holds a parsed condition against what the language allows beyond its types: known names only, fields that are there,
 * loops of bounded depth, and literal patterns, zones and ranges. Gives ours their own names (condition-language.ts),
 * so it comes before the types are checked.
 */
export function holdToRules(
  root: ASTNode,
  subject: PolicySubject,
): { readonly reads: ConditionReads; readonly missteps: readonly Misstep[] } {
  const missteps: Misstep[] = [];
  const read = new Set<string>();
  const fault = (node: ASTNode, message: string, at: number = node.pos) => missteps.push({ message, at });

  function visitName(node: ASTNode, name: string, scope: readonly string[]): void {
    if (scope.includes(name) || TYPE_NAMES.has(name)) return;
    const fields = fieldsOf(subject, name);
    if (fields !== null) fault(node, `Say which part of "${name}": ${fields.join(", ")}.`);
    else if (FACT_VARIABLES[subject][name] === undefined) fault(node, unknownName(name, subject));
  }

  /** Whether it is a field of an object of ours: then it has been looked at. */
  function visitField(node: ASTNode, of: ASTNode, field: string, scope: readonly string[]): boolean {
    if (of.op !== "id" || scope.includes(of.args)) return false;
    const fields = fieldsOf(subject, of.args);
    if (fields === null) return false;
    if (!fields.includes(field))
      fault(node, `"${of.args}" has no field "${field}": it has ${fields.join(", ")}.`);
    else read.add(`${of.args}.${field}`);
    return true;
  }

  function visitLoop(
    node: ASTNode,
    of: ASTNode,
    args: ASTNode[],
    scope: readonly string[],
    depth: number,
  ): void {
    visit(of, scope, depth);
    const [variable, ...bodies] = args;
    if (variable?.op !== "id") return (fault(node, "A loop needs a name for the element."), undefined);
    const name = variable.args;
    if (scope.includes(name) || TYPE_NAMES.has(name) || isVariable(name))
      fault(variable, `"${name}" has a meaning already: choose another name for the element.`);
    if (depth >= MAX_LOOP_DEPTH)
      return (fault(node, `Loops may be at most ${MAX_LOOP_DEPTH} deep.`), undefined);
    for (const body of bodies) visit(body, [...scope, name], depth + 1);
  }

  function visitMethod(node: ASTNode, name: string, args: readonly ASTNode[]): void {
    const literalFault = OUR_METHODS.get(name);
    if (literalFault === undefined) {
      if (!METHODS.has(name)) fault(node, `There is no method "${name}".`);
      return;
    }
    for (const arg of args) {
      const literal = literalOf(arg, name);
      const message = literal === null ? null : literalFault(literal);
      if (message !== null) fault(arg, message);
    }
  }

  /** The text of an argument that has to be a literal. */
  function literalOf(arg: ASTNode, name: string): string | null {
    if (arg.op === "value" && typeof arg.args === "string") return arg.args;
    fault(arg, `"${name}" takes a literal text, so that it is checked now.`, arg.start);
    return null;
  }

  /** The evaluator makes texts of keys, and lets the last of two stand. */
  function visitKeys(keys: readonly ASTNode[]): void {
    const seen = new Set<unknown>();
    for (const key of keys) {
      if (key.op !== "value" || typeof key.args !== "string") fault(key, "A key is a literal text.");
      else if (seen.has(key.args)) fault(key, `There are two "${key.args}".`);
      else seen.add(key.args);
    }
  }

  function visit(node: ASTNode, scope: readonly string[], depth: number): void {
    switch (node.op) {
      case "value":
        if (node.args instanceof UnsignedInt) fault(node, "There are no unsigned numbers: leave the u out.");
        if (node.args instanceof Uint8Array) fault(node, "There are no bytes: leave the b out.");
        return;
      case "id":
        return visitName(node, node.args, scope);
      case ".":
      case ".?": {
        const [of, field] = node.args;
        if (!visitField(node, of, field, scope)) visit(of, scope, depth);
        return;
      }
      case "call": {
        const [name, args] = node.args;
        if (!FUNCTIONS.has(name)) fault(node, `There is no function "${name}".`);
        if (LITERAL_FUNCTIONS.has(name)) for (const arg of args) literalOf(arg, name);
        for (const arg of args) visit(arg, scope, depth);
        if (OUR_FUNCTIONS.has(name)) node.args[0] = ourName(name);
        return;
      }
      case "rcall": {
        const [name, of, args] = node.args;
        if (MACROS.has(name)) return visitLoop(node, of, args, scope, depth);
        visitMethod(node, name, args);
        visit(of, scope, depth);
        for (const arg of args) visit(arg, scope, depth);
        if (OUR_METHODS.has(name)) node.args[0] = ourName(name);
        return;
      }
      case "map":
        visitKeys(node.args.map(([key]) => key));
        for (const [, value] of node.args) visit(value, scope, depth);
        return;
      case "!_":
      case "-_":
        return visit(node.args, scope, depth);
      default:
        for (const arg of node.args) visit(arg, scope, depth);
    }
  }

  visit(root, [], 0);
  return {
    reads: {
      body: read.has("request.body"),
      query: read.has("request.query"),
      headers: read.has("request.headers"),
      agent: read.has("agent.name") || read.has("agent.trust_tier"),
    },
    missteps,
  };
}

function isVariable(name: string): boolean {
  return POLICY_SUBJECTS.some((subject) => FACT_VARIABLES[subject][name] !== undefined);
}

function unknownName(name: string, subject: PolicySubject): string {
  const there = POLICY_SUBJECTS.filter((other) => FACT_VARIABLES[other][name] !== undefined);
  if (there.length > 0) return `"${name}" is only there in policies on ${there.join(" and ")}.`;
  return `There is no "${name}": there are ${Object.keys(FACT_VARIABLES[subject]).toSorted().join(", ")}.`;
}
