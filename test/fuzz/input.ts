import { Problem } from "../../src/base/problem.ts";

/** What `attempt` answers, or the problem it was refused with. Whatever else is thrown is a finding. */
export function outcomeOf<T>(attempt: () => T): { readonly value: T } | { readonly problem: Problem } {
  try {
    return { value: attempt() };
  } catch (error) {
    if (error instanceof Problem) return { problem: error };
    throw error;
  }
}

/** The answer, or undefined where it was refused. */
export function valueOf<T>(attempt: () => T): T | undefined {
  const outcome = outcomeOf(attempt);
  return "value" in outcome ? outcome.value : undefined;
}

/** A fuzzer's bytes as `count` texts, cut at line feeds; the last one takes the rest. One character for each byte. */
export function textsOf(data: Buffer, count: number): string[] {
  const parts = data.toString("latin1").split("\n");
  const texts = parts.slice(0, count - 1);
  texts.push(parts.slice(count - 1).join("\n"));
  while (texts.length < count) texts.push("");
  return texts;
}
