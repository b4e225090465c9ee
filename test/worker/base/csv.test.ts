import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { csvRow } from "../../../src/base/csv.ts";
import { exportMediaOf } from "../../../src/base/export-format.ts";
import { exportStream } from "../../../src/base/export-stream.ts";

/** The cells of RFC 4180 text, as a reader that splits at `separator` sees them. */
function cellsOf(text: string, separator: string): string[] {
  const cells: string[] = [];
  let cell = "";
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? "";
    if (isQuoted && character === '"' && text[at + 1] === '"') {
      cell += '"';
      at++;
    } else if (character === '"') {
      // Where a quote opens in the middle of a cell, readers differ; here it does.
      isQuoted = !isQuoted;
    } else if (!isQuoted && (character === separator || /[\r\n]/.test(character))) {
      cells.push(cell);
      cell = "";
    } else {
      cell += character;
    }
  }
  return [...cells, cell];
}

const FORMULA = /^[\s'"\p{Cc}\p{Cf}]*[=+\-@＝＋－＠]/u;

describe("attack 83: CSV", () => {
  test.each([
    ["=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""],
    ["+1", `"'+1"`],
    ["-1", `"'-1"`],
    ["@SUM(1)", `"'@SUM(1)"`],
    ["\tx", `"'\tx"`],
    ["\rx", `"'\rx"`],
    ["＝1", `"'＝1"`],
    [" =1", `" '=1"`],
    ['"=1', `"""'=1"`],
    ["a;=1", `"a;'=1"`],
    ["a\n-1", `"a\n'-1"`],
    ["a-b=c", `"a-b=c"`],
    ["", `""`],
    ['say "hi", twice', `"say ""hi"", twice"`],
  ])("attack 83: %j is written as %j", (text, written) => {
    expect(csvRow([text])).toBe(`${written}\r\n`);
  });

  test("numbers and booleans stand as they are, null is an empty cell", () => {
    expect(csvRow([-1, true, null, "a"])).toBe('-1,true,,"a"\r\n');
  });

  test("attack 83: no text becomes a formula, whichever separator a spreadsheet goes by", () => {
    const piece = fc.constantFrom(
      "=",
      "+",
      "-",
      "@",
      "\t",
      "\r",
      "\n",
      ";",
      ",",
      '"',
      "'",
      " ",
      "a",
      "1",
      "\0",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.array(piece, { maxLength: 6 }), (a, b) => {
        for (const separator of [",", ";", "\t"]) {
          for (const cell of cellsOf(csvRow([a.join(""), b.join("")]), separator)) {
            if (!cell.startsWith("'")) expect(cell).not.toMatch(/^[=+\-@\t\r]/);
          }
        }
      }),
    );
  });

  test("what is read back is what was written, but for the apostrophes that keep it text", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" }), { minLength: 1, maxLength: 4 }), (texts) => {
        const plain = texts.filter((text) => !FORMULA.test(text) && !/[;\t\r\n]/.test(text));
        fc.pre(plain.length > 0);
        expect(cellsOf(csvRow(plain).slice(0, -2), ",")).toEqual(plain);
      }),
    );
  });
});

describe("an export", () => {
  const rows = [
    { path: "a/B", tags: ["x"], note: "=1" },
    { path: "a/C", tags: [], note: null },
  ];

  async function* pages() {
    for (const row of rows) yield [row];
  }

  test.each([
    ["application/x-ndjson", rows.map((row) => `${JSON.stringify(row)}\n`).join("")],
    ["application/json", `[${rows.map((row) => JSON.stringify(row)).join(",\n")}]\n`],
    ["text/csv", `"path","tags","note"\r\n"a/B","[""x""]","'=1"\r\n"a/C","[]",\r\n`],
  ] as const)("is written as %s", async (media, text) => {
    const stream = exportStream(media, ["path", "tags", "note"], pages());
    expect(await new Response(stream).text()).toBe(text);
  });

  test.each([
    ["application/x-ndjson", ""],
    ["application/json", "[]\n"],
    ["text/csv", '"path"\r\n'],
  ] as const)("of nothing is still %s", async (media, text) => {
    async function* nothing() {}
    expect(await new Response(exportStream(media, ["path"], nothing())).text()).toBe(text);
  });

  test("reads a page when the one before is taken, and stops when nobody takes any more", async () => {
    let read = 0;
    let isEnded = false;
    async function* endless() {
      try {
        for (;;) yield [{ path: `a/${read++}` }];
      } finally {
        isEnded = true;
      }
    }
    const reader = exportStream("application/x-ndjson", ["path"], endless()).getReader();
    await reader.read();
    expect(read).toBeLessThan(4);
    await reader.cancel();
    expect(isEnded).toBe(true);
  });

  test.each([
    [null, "application/x-ndjson"],
    ["*/*", "application/x-ndjson"],
    ["text/csv", "text/csv"],
    ["text/html, text/csv;q=0.5, application/json;q=0.9", "application/json"],
    ["application/json;q=0, text/csv", "text/csv"],
    ["text/html", null],
    ["", null],
  ])("for `Accept: %s` it is %s", (accept, media) => {
    expect(exportMediaOf(accept)).toBe(media);
  });
});
