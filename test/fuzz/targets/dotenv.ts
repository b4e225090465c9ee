import assert from "node:assert/strict";
import { parseDotenv } from "../../../src/vault/dotenv.ts";
import { outcomeOf } from "../input.ts";

const ESCAPED: Readonly<Record<string, string>> = {
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  '"': '\\"',
  "\\": "\\\\",
  $: "\\$",
};

/** Entries as .env text that every tool reads alike. */
export function writeDotenv(entries: readonly (readonly [key: string, value: string])[]): string {
  return entries
    .map(([key, value]) => `${key}="${value.replaceAll(/[\n\r\t"\\$]/g, (char) => ESCAPED[char] ?? char)}"`)
    .join("\n");
}

/**
 * Text is read or refused by the number of a line; what is read is not empty, has no name twice, stands in the text
 * whole, and is the same when it is written down and read again.
 */
export function checkDotenv(text: string): void {
  const outcome = outcomeOf(() => parseDotenv(text));
  if ("problem" in outcome) {
    assert.equal(outcome.problem.code, "VALIDATION_ERROR");
    assert.match(outcome.problem.message, /^`content`: line [1-9][0-9]* [^\n]{1,100}$/);
    return;
  }
  const entries = outcome.value.map(({ key, value }): [string, string] => [key, value.reveal()]);
  assert.equal(new Set(entries.map(([key]) => key)).size, entries.length);
  const normal = text.replaceAll(/\r\n?/g, "\n");
  for (const [key, value] of entries) {
    assert.match(key, /^[A-Za-z_][\w.-]{0,127}$/);
    assert.notEqual(value, "");
    assert.ok(normal.includes(key));
    if (!text.includes("\\")) assert.ok(normal.includes(value));
  }
  const again = parseDotenv(writeDotenv(entries)).map(({ key, value }) => [key, value.reveal()]);
  assert.deepEqual(again, entries);
}

/** An unquoted value is what stands there, but for blanks around it: nothing is cut off a secret unseen. */
export function checkPlain(value: string): void {
  if (/^$|^["'`]|^[ \t]|[ \t]$|[#\n\r]/.test(value)) return;
  const [entry] = parseDotenv(`KEY=${value}`);
  assert.equal(entry?.value.reveal(), value);
}

export function fuzz(data: Buffer): void {
  const text = data.toString("utf8");
  checkDotenv(text);
  checkPlain(text);
}
