import { isDeepStrictEqual } from "node:util";

/** The members that differ, as they were and as they are: what the event of a change says of it. */
export function changedMembers(
  was: Readonly<Record<string, unknown>>,
  is: Readonly<Record<string, unknown>>,
): Readonly<Record<"changed" | "after" | "before", unknown>> {
  const changed = Object.keys(is).filter((name) => !isDeepStrictEqual(was[name], is[name]));
  const only = (all: typeof is) => Object.fromEntries(changed.map((name) => [name, all[name]]));
  return { changed, after: only(is), before: only(was) };
}
