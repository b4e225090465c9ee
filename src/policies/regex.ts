import { RE2JS } from "re2js";
import { BoundedCache } from "../base/cache.ts";

/** A pattern in RE2's syntax, compiled. It matches in time linear in the text (attack 88): no backtracking. */
export interface LinearPattern {
  /** Whether it matches anywhere in the text, as CEL's `matches` does. */
  test(text: string): boolean;
  /** Instructions of its program: what one character of text can cost at most. */
  readonly size: number;
}

const MAX_PATTERN_LENGTH = 512;
/** RE2 unrolls counted repetitions: `(a{100}){10}` is a thousand instructions. */
const MAX_PROGRAM_SIZE = 1_000;

const patterns = new BoundedCache<string, LinearPattern>(1_000);

/** The compiled pattern, or what is wrong with it in words for its author. */
export function linearPattern(text: string): LinearPattern | string {
  const known = patterns.get(text);
  if (known !== undefined) return known;
  if (text.length > MAX_PATTERN_LENGTH)
    return `The pattern must not be longer than ${MAX_PATTERN_LENGTH} characters.`;
  const compiled = compile(text);
  if (compiled === null)
    return "This is no pattern in RE2's syntax; it has no lookaround and no back-references.";
  if (compiled.size > MAX_PROGRAM_SIZE) return "The pattern is too large: its counted repetitions multiply.";
  patterns.set(text, compiled);
  return compiled;
}

function compile(text: string): LinearPattern | null {
  try {
    const pattern = RE2JS.compile(text);
    return { test: (subject) => pattern.test(subject), size: pattern.programSize() };
  } catch {
    return null;
  }
}
