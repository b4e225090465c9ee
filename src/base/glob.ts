import { z } from "zod";

/**
 * Whether `pattern` matches all of `text`: `*` stands for any run of characters, `/` included; everything else for
 * itself. Iterative with one point to return to, so no pattern is exponential (attack 88).
 */
export function matchesGlob(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let resume = 0;
  while (t < text.length) {
    if (p < pattern.length && pattern[p] === "*") {
      star = p++;
      resume = t;
    } else if (p < pattern.length && pattern[p] === text[t]) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}

/**
 * Whether everything `inner` matches is matched by `outer`. Sound, and complete but for patterns no one writes: a `*`
 * of `inner` can only be matched by a `*` of `outer`.
 */
export function coversGlob(outer: string, inner: string): boolean {
  return matchesGlob(outer, inner);
}

export const methodSchema = z
  .string()
  .regex(/^[A-Z]{1,20}$/, 'must be an HTTP method in capitals such as "POST"');

/** A path glob below a connection: begins with `/`. */
export const pathGlobSchema = z
  .string()
  .max(1024)
  .regex(/^\/[\x21-\x7e]*$/, 'must be a path such as "/v1/charges/*"');
