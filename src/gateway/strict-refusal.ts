import { Problem } from "../base/problem.ts";

/**
 * Throws BODY_AMBIGUOUS. Whoever decides on a request and whoever carries it out parse it with different code: what not
 * every parser reads alike is refused rather than guessed (attacks 29 and 75). `what` never repeats what was sent.
 */
export function ambiguous(place: "body" | "head" | "query", what: string): never {
  throw new Problem("BODY_AMBIGUOUS", `The ${place} ${what}; the upstream might read it differently.`, {
    why: "A policy, a permission or a person looks into this call: send each name once, large numbers as strings, all of it in UTF-8.",
  });
}
