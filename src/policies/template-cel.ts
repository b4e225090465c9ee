/**
 * Parameters of templates become literals of CEL here and nowhere else, so that none can be read as anything but the
 * value it is (attack: a parameter that closes its quotes).
 */

const PLAIN = /[^\x20-\x7e]|["\\]/gu;

/** A string literal: quotes, backslashes and whatever is not printable ASCII are escaped. Lone surrogates throw. */
export function celString(text: string): string {
  if (!text.isWellFormed()) throw new TypeError("not a text");
  return `"${text.replace(PLAIN, escaped)}"`;
}

function escaped(character: string): string {
  if (character === '"' || character === "\\") return `\\${character}`;
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  return code > 0xffff ? `\\U${hex.padStart(8, "0")}` : `\\u${hex.padStart(4, "0")}`;
}

export function celStrings(texts: readonly string[]): string {
  return `[${texts.map(celString).join(", ")}]`;
}

/** A double. Throws for what is not finite. */
export function celNumber(value: number): string {
  if (!Number.isFinite(value)) throw new TypeError("not a number");
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/** A member of the body; the parts of its name are set apart by dots. */
export function celField(field: string): string {
  return `request.body${field
    .split(".")
    .map((name) => `[${celString(name)}]`)
    .join("")}`;
}

/**
 * Whether the path is one of those that the globs stand for, `*` for any run of characters; none: any path. In any case,
 * and with a slash behind it or without: some servers take those for the same, and templates refuse or ask.
 */
export function celPaths(globs: readonly string[]): string | null {
  if (globs.length === 0) return null;
  return either(globs.map(pathTest));
}

function pathTest(glob: string): string {
  const [first = "", ...rest] = glob.split("*");
  const last = rest.at(-1);
  if (last === undefined) return `${FOLDED_PATH} in ${celStrings(withSlashOrNot(glob.toLowerCase()))}`;
  if (rest.length === 1 && last === "") return celPathPrefix(first);
  const parts = glob.replace(/\/$/, "").split("*").map(literally);
  return `request.path.matches(${celString(`(?i)^${parts.join(".*")}${last === "" ? "" : "/?"}$`)})`;
}

const FOLDED_PATH = "request.path.lowerAscii()";

function withSlashOrNot(path: string): readonly string[] {
  const bare = path.replace(/\/$/, "");
  return bare === "" ? ["/"] : [bare, `${bare}/`];
}

/** Whether the path begins so, in any case. */
export function celPathPrefix(prefix: string): string {
  return `${FOLDED_PATH}.startsWith(${celString(prefix.toLowerCase())})`;
}

/** A regular expression (RE2) that matches the text and nothing else. */
function literally(text: string): string {
  return text.replace(/[^0-9A-Za-z_/-]/g, "\\$&");
}

export function either(tests: readonly string[]): string {
  const [only] = tests;
  return tests.length === 1 && only !== undefined ? only : `(${tests.join(" || ")})`;
}

export function both(...tests: readonly (string | null)[]): string {
  return tests.filter((test) => test !== null).join(" && ");
}
