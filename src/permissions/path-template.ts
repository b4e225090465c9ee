import { matchesGlob } from "../base/glob.ts";

/** What `{name}` stands for in each path. */
export type PathValues = Readonly<Record<string, string>>;

const PLACE = /^\{([a-z][a-z0-9_]{0,31})\}$/;

/** The names that a path binds; null where it is not one: `{name}` is a whole segment, and then `*` only ends a path. */
export function namesOf(template: string): readonly string[] | null {
  if (!/[{}]/.test(template)) return [];
  const names: string[] = [];
  const segments = template.split("/");
  for (const [at, segment] of segments.entries()) {
    const name = PLACE.exec(segment)?.[1];
    if (name !== undefined) names.push(name);
    else if (/[{}]/.test(segment)) return null;
    else if (segment.includes("*") && (at < segments.length - 1 || segment.indexOf("*") < segment.length - 1))
      return null;
  }
  return new Set(names).size === names.length ? names : null;
}

/** A path as a glob that matches what it matches, and perhaps more. */
export function globOf(template: string): string {
  return template.replaceAll(/\{[^}/]*\}/g, "*");
}

/**
 * The values that a canonical path gives, decoded once; null where no template matches, where two that do disagree, or
 * where a value does not decode.
 */
export function matchPath(templates: readonly string[], path: string): PathValues | null {
  const found: Record<string, string> = {};
  let matches = 0;
  for (const template of templates) {
    const values = matchOne(template, path);
    if (values === null) continue;
    matches += 1;
    for (const [name, value] of Object.entries(values)) {
      if ((found[name] ??= value) !== value) return null;
    }
  }
  return matches === 0 ? null : found;
}

function matchOne(template: string, path: string): PathValues | null {
  if (!template.includes("{")) return matchesGlob(template, path) ? {} : null;
  const wanted = template.split("/");
  const last = wanted.at(-1) ?? "";
  const isOpen = last.endsWith("*");
  const segments = path.split("/");
  if (isOpen ? segments.length < wanted.length : segments.length !== wanted.length) return null;
  const values: Record<string, string> = {};
  for (const [at, pattern] of wanted.entries()) {
    const segment = segments[at] ?? "";
    const name = PLACE.exec(pattern)?.[1];
    if (name !== undefined) {
      const value = decoded(segment);
      if (value === null || value === "") return null;
      values[name] = value;
    } else if (isOpen && at === wanted.length - 1) {
      if (!segment.startsWith(pattern.slice(0, -1))) return null;
    } else if (pattern !== segment) return null;
  }
  return values;
}

function decoded(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}
