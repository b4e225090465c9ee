import { z } from "zod";

/**
 * Whether `pattern` matches all of `text`: `*` stands for any run of characters, `/` included; everything else for
 * itself. The parts between stars are looked for one after the other, each from the end of the one before, so no
 * pattern looks at the text more than once (attack 88). The search is the engine's own.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  const [first = "", ...parts] = pattern.split("*");
  const last = parts.pop();
  if (last === undefined) return text.length === first.length && text.startsWith(first);
  if (first.length + last.length > text.length || !text.startsWith(first) || !text.endsWith(last))
    return false;
  const end = text.length - last.length;
  let from = first.length;
  for (const part of parts) {
    if (part === "") continue;
    const at = text.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return from <= end;
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

const MAX_STARS = 8;

/** A path glob below a connection: begins with `/`. */
export const pathGlobSchema = z
  .string()
  .max(256)
  .regex(/^\/[\x21-\x7e]*$/, 'must be a path such as "/v1/charges/*"')
  .refine((glob) => glob.split("*").length <= MAX_STARS + 1, `must have at most ${MAX_STARS} of "*"`);
