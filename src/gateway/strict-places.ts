import { foldCase } from "../credentials/fold-case.ts";
import type { BodyView, Parameters } from "../policies/request-view.ts";
import { ambiguous } from "./strict-refusal.ts";

/**
 * Throws BODY_AMBIGUOUS where a name stands in the query and in the body: many servers make one list of both, and each
 * has its own idea of which counts (attack 29).
 */
export function checkPlaces(query: Parameters, body: BodyView): void {
  const above = new Set(Object.keys(query).flatMap(spellings));
  if (
    above.size === 0 ||
    !namesOf(body)
      .flatMap(spellings)
      .some((name) => above.has(name))
  )
    return;
  ambiguous("body", "has a name that stands in the query as well");
}

/** Of the outermost members. */
function namesOf(body: BodyView): readonly string[] {
  if (body.kind !== "json" && body.kind !== "form") return [];
  const { value } = body;
  return typeof value === "object" && value !== null && !Array.isArray(value) ? Object.keys(value) : [];
}

/** The name as those have it who make objects of dots and brackets, and as PHP has it. */
function spellings(name: string): readonly string[] {
  const folded = foldCase(name);
  const [root = ""] = folded.split(/[.[]/, 1);
  return [root, folded.replace(/\[.*$/s, "").replace(/[. ]/g, "_")];
}
