/** One cell. Text is made harmless, numbers and booleans are what they are, null is an empty cell. */
export type CsvCell = string | number | boolean | null;

const FORMULA = new Set(["=", "+", "-", "@", "＝", "＋", "－", "＠"]);
/** Where a spreadsheet may begin a new cell, in locales whose separator is `;` or a tab, quotes or not. */
const SEPARATORS = new Set([";", "\t", "\r", "\n"]);
/** What some of them skip before they look whether a cell is a formula. */
const SKIPPED = /[\s"'\p{Cc}\p{Cf}]/u;

/**
 * A row of CSV (RFC 4180): every text in quotes, CRLF at its end. No text is taken for a formula (attack 83, OWASP "CSV
 * Injection"): an apostrophe goes before what begins with `=`, `+`, `-`, `@` (full-width ones too), a tab or CR, and
 * before such a character after a `;`, a tab or a line break within the text.
 */
export function csvRow(cells: readonly CsvCell[]): string {
  return `${cells.map(written).join(",")}\r\n`;
}

function written(cell: CsvCell): string {
  if (typeof cell !== "string") return cell === null ? "" : String(cell);
  return `"${harmless(cell).replaceAll('"', '""')}"`;
}

function harmless(text: string): string {
  let made = /^[\t\r\n]/.test(text) ? "'" : "";
  let isStart = true;
  for (const character of text) {
    if (isStart && FORMULA.has(character)) made += "'";
    if (SEPARATORS.has(character)) isStart = true;
    else if (!SKIPPED.test(character)) isStart = false;
    made += character;
  }
  return made;
}
