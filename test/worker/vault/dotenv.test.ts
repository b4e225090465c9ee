import fc from "fast-check";
import { expect, test } from "vitest";
import { Problem } from "../../../src/base/problem.ts";
import { parseDotenv } from "../../../src/vault/dotenv.ts";

const read = (text: string) => parseDotenv(text).map(({ key, value }) => [key, value.reveal()]);

test.each<[string, string, string[][]]>([
  ["a plain value", "A=one", [["A", "one"]]],
  ["spaces around it", "  A =  one two  ", [["A", "one two"]]],
  ["export", "export A=one", [["A", "one"]]],
  ["comments and blank lines", "# c\n\n   # c\nA=one # c\n", [["A", "one"]]],
  [
    "several lines, CR LF and CR",
    "A=1\r\nB=2\rC=3",
    [
      ["A", "1"],
      ["B", "2"],
      ["C", "3"],
    ],
  ],
  ["a byte order mark", "\uFEFFA=1", [["A", "1"]]],
  ["equals signs and quotes inside", `A=a==b"c'd`, [["A", `a==b"c'd`]]],
  ["JSON as it is", 'A={"a": [1]}', [["A", '{"a": [1]}']]],
  ["a dollar as it is", "A=$B${C}", [["A", "$B${C}"]]],
  ["single quotes: nothing is special", "A='a\\n # \"b\" $C'", [["A", 'a\\n # "b" $C']]],
  ["backticks", 'A=`it\'s "one"`', [["A", `it's "one"`]]],
  ["double quotes: escapes", 'A="a\\n\\r\\t\\"\\\\\\$ # b"', [["A", 'a\n\r\t"\\$ # b']]],
  [
    "a key over several lines",
    'A="-----BEGIN\nx\n-----END" # c\nB=2',
    [
      ["A", "-----BEGIN\nx\n-----END"],
      ["B", "2"],
    ],
  ],
])("reads %s", (_, text, entries) => {
  expect(read(text)).toEqual(entries);
});

test.each<[string, string, number]>([
  ["no assignment", "A=1\nsk_live_canary", 2],
  ["a key that begins with a digit", "1A=sk_live_canary", 1],
  ["an empty value", "A=1\n\nB=", 3],
  ["an empty quoted value", 'A=""', 1],
  ["a # that may or may not be a comment", "A=sk_live_canary#rest", 1],
  ["a key that stands twice", "A=1\nA=sk_live_canary", 2],
  ["a quote that is never closed", 'A=1\nB="sk_live_canary\nC=3', 2],
  ["an unknown escape", 'A="sk_live_canary\\x"', 1],
  ["something after the quotes", "A='sk_live_canary'rest", 1],
  ["a fault after a value of three lines", 'A="1\n2\n3"\nsk_live_canary', 4],
])("refuses %s by its line, and never shows it", (_, text, line) => {
  let problem: unknown;
  try {
    parseDotenv(text);
  } catch (error) {
    problem = error;
  }
  expect(problem).toBeInstanceOf(Problem);
  expect(String(problem)).toContain(`line ${line} `);
  expect(String(problem)).not.toContain("canary");
});

test("what is written with double quotes is read back as it was", () => {
  const escapes: Record<string, string> = {
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    '"': '\\"',
    "\\": "\\\\",
    $: "\\$",
  };
  const values = fc.array(fc.string({ minLength: 1, unit: "binary" }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(values, (texts) => {
      const lines = texts.map(
        (text, index) => `K${index}="${text.replace(/[\n\r\t"\\$]/g, (it) => escapes[it] ?? it)}"`,
      );
      expect(read(lines.join("\n"))).toEqual(texts.map((text, index) => [`K${index}`, text]));
    }),
  );
});

test("a megabyte of blank lines or quotes is read in linear time", () => {
  expect(read(`${"\n".repeat(1_000_000)}A=1`)).toEqual([["A", "1"]]);
  expect(read(`A='${"\n".repeat(1_000_000)}'`)[0]?.[1]).toHaveLength(1_000_000);
  expect(() => read(`A=${" \t".repeat(500_000)}`)).toThrow(Problem);
});
