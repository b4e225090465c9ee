import { Problem } from "../base/problem.ts";
import { Redacted } from "../base/redacted.ts";

export interface DotenvEntry {
  readonly key: string;
  readonly value: Redacted;
}

const ASSIGNMENT = /^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]{0,127})[ \t]*=[ \t]*/;
const IGNORED = /^[ \t]*(?:#.*)?$/;
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", '"': '"', "\\": "\\", $: "$" };

/**
 * Reads .env text. What tools read differently is refused rather than guessed, since a secret that was cut short is
 * found out late: an unquoted `#` with nothing before it, unknown escapes, a key that stands twice, an empty value.
 * Single quotes and backticks hold text as it is, double quotes know `\n \r \t \" \\ \$`, all may span lines; `$NAME`
 * is never replaced. Throws VALIDATION_ERROR with the line's number and never its text.
 */
export function parseDotenv(text: string): readonly DotenvEntry[] {
  const entries = new Map<string, DotenvEntry>();
  let rest = text.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
  let line = 1;
  while (rest !== "") {
    const end = rest.indexOf("\n") === -1 ? rest.length : rest.indexOf("\n");
    if (IGNORED.test(rest.slice(0, end))) {
      rest = rest.slice(end + 1);
      line++;
      continue;
    }
    const assignment = ASSIGNMENT.exec(rest);
    const key = assignment?.[1];
    if (!assignment || key === undefined) throw fault(line, "is not of the form KEY=value");
    const after = rest.slice(assignment[0].length);
    const { value, length } = /^["'`]/.test(after) ? readQuoted(after, line) : readPlain(after, line);
    if (value === "") throw fault(line, "has no value");
    if (entries.has(key)) throw fault(line, "names a key that stands further up already");
    entries.set(key, { key, value: new Redacted(value) });
    const taken = rest.slice(0, assignment[0].length + length);
    line += taken.split("\n").length - 1;
    const tail = rest.slice(taken.length);
    const tailEnd = tail.indexOf("\n") === -1 ? tail.length : tail.indexOf("\n");
    if (!/^(?:[ \t]+#.*|[ \t]*)$/.test(tail.slice(0, tailEnd)))
      throw fault(line, "goes on after the closing quote");
    rest = tail.slice(tailEnd + 1);
    line++;
  }
  return [...entries.values()];
}

interface Taken {
  readonly value: string;
  /** Characters of the source, quotes included. */
  readonly length: number;
}

function readPlain(text: string, line: number): Taken {
  const whole = text.split("\n", 1)[0] ?? "";
  const comment = whole.search(/(?:^|[ \t])#/);
  const source = comment === -1 ? whole : whole.slice(0, comment);
  if (source.includes("#")) throw fault(line, "holds a `#`: put the value in quotes");
  let end = source.length;
  // Blanks only: a no-break space, say, belongs to the value, as it does at its beginning.
  while (end > 0 && (source[end - 1] === " " || source[end - 1] === "\t")) end--;
  return { value: source.slice(0, end), length: source.length };
}

function readQuoted(text: string, line: number): Taken {
  const quote = text[0];
  let value = "";
  for (let at = 1; at < text.length; at++) {
    const character = text[at] ?? "";
    if (character === quote) return { value, length: at + 1 };
    if (character !== "\\" || quote !== '"') {
      value += character;
      continue;
    }
    const escaped = ESCAPES[text[++at] ?? ""];
    if (escaped === undefined) throw fault(line, 'holds an escape other than \\n \\r \\t \\" \\\\ \\$');
    value += escaped;
  }
  throw fault(line, "opens a quote that is never closed");
}

function fault(line: number, what: string): Problem {
  return new Problem("VALIDATION_ERROR", `\`content\`: line ${line} ${what}.`);
}
