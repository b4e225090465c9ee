import { foldCase } from "../credentials/fold-case.ts";

/** `name`, `name[]`, `name[key]…`, with dots between: what else has brackets or dots, each server reads in its own way. */
const SHAPE = /^[^[\].]+(?:\.[^[\].]+)*(?:\[(?:[^[\].]+(?:\.[^[\].]+)*)?\])*$/;
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;
const MAX_CHARACTERS = 512;
const MAX_LEVELS = 16;
const BETWEEN = "\u0001";
const CONFUSABLE = "has names that can be taken for one another";

/** The same to everybody. */
const PLAIN = /^[a-z_][a-z0-9_]*$/;

/** What stands below a name: a list by `[]`, or members by name or number. */
type Below = "list" | "members";

/**
 * Names of parameters that lenient servers might take for one another, or fold into one (PHP and Rails, qs and Spring,
 * ASP.NET): `a` and `A`, `a.b` and `a_b`, `a.b` and `a[b]`, `a` and `a[]`, `a[]` and `a[0]`.
 */
export class StrictNames {
  readonly #flat = new Set<string>();
  readonly #leaves = new Set<string>();
  readonly #below = new Map<string, Below>();

  /** Takes a name, decoded once, that has not come before; says what is wrong with it, or null. */
  add(name: string): string | null {
    if (name === "") return "has a parameter without a name";
    if (name.length > MAX_CHARACTERS) return "has too long a name";
    if (PLAIN.test(name)) return this.#takes(name, [name]) ? null : CONFUSABLE;
    // Trimmed, cut or decoded once more, it would be another name.
    if (name.trim() !== name || name.startsWith("?") || CONTROL.test(name) || /%[0-9a-f]{2}/i.test(name)) {
      return "has a name that not every parser takes as it is";
    }
    if (!SHAPE.test(name)) return "has a name with stray brackets or dots";
    const folded = foldCase(name);
    const levels = folded
      .replaceAll("]", "")
      .split(/[[.]/)
      .map((level) => level.replace(/^0+(?=[0-9])/, ""));
    if (levels.length > MAX_LEVELS) return "has a name with too many levels";
    return this.#takes(folded.replace(/[. ]/g, "_"), levels) ? null : CONFUSABLE;
  }

  /** `flat`: the name as PHP has it; `levels`: as those have it who make objects of dots and brackets. */
  #takes(flat: string, levels: readonly string[]): boolean {
    if (this.#flat.has(flat) || !this.#fits(levels)) return false;
    this.#flat.add(flat);
    return true;
  }

  #fits(levels: readonly string[]): boolean {
    let path = levels[0] ?? "";
    for (const level of levels.slice(1)) {
      const below: Below = level === "" ? "list" : "members";
      if (this.#leaves.has(path) || (this.#below.get(path) ?? below) !== below) return false;
      this.#below.set(path, below);
      path += BETWEEN + level;
    }
    if (this.#leaves.has(path) || this.#below.has(path)) return false;
    this.#leaves.add(path);
    return true;
  }
}
