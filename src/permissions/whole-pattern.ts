import { linearPattern } from "../policies/regex.ts";

/** What is wrong with a pattern, in words for its author; null: nothing. */
export function patternFault(pattern: string): string | null {
  const alone = linearPattern(pattern);
  if (typeof alone === "string") return alone;
  const whole = linearPattern(wholeOf(pattern));
  return typeof whole === "string" ? whole : null;
}

/** Characters times instructions of a pattern's program: what matching costs at most, in all values of a field. */
const MAX_STEPS = 1_000_000;

/**
 * Whether all of each text matches, not a part of it; in linear time (attack 88). False for what is no pattern, and where
 * the texts are too long for it.
 */
export function matchWhole(pattern: string, texts: readonly string[]): boolean {
  // By itself as well: `a)|(b` is none, and in parentheses it would be another.
  if (typeof linearPattern(pattern) === "string") return false;
  const whole = linearPattern(wholeOf(pattern));
  if (typeof whole === "string") return false;
  const characters = texts.reduce((sum, text) => sum + text.length, 0);
  return characters * whole.size <= MAX_STEPS && texts.every((text) => whole.test(text));
}

function wholeOf(pattern: string): string {
  return `\\A(?:${pattern})\\z`;
}
