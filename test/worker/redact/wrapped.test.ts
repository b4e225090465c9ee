import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formsOf } from "../../../src/gateway/redact/forms.ts";
import { NOTE, ROW, singly, WRAPPED } from "../../../src/gateway/redact/notes.ts";
import { createRedactor } from "../../../src/gateway/redact/redactor.ts";
import { Sift, WRAPS } from "../../../src/gateway/redact/sift.ts";
import { Origins, unescape } from "../../../src/gateway/redact/unescape.ts";
import { worthUndoing } from "../../../src/gateway/redact/worth.ts";
import { bytesOf, cut, PLAIN_SECRET, pumped, textOf } from "./echoes.ts";

const seed = 20_261_122;
const PLAIN = ["\n", "\r\n", "\r", "\n\r"];
const ESCAPED = ["\\n", "\\r\\n", "\\r"];
const BREAKS = [...PLAIN, ...ESCAPED];

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const hexadecimal = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
/** How many bits of a document a character holds. */
const ENCODINGS = [
  { encode: base64, bits: 6 },
  { encode: (bytes: Uint8Array) => Buffer.from(bytes).toString("base64url"), bits: 6 },
  { encode: hexadecimal, bits: 4 },
];

const secret = fc
  .array(fc.integer({ min: 0x21, max: 0x7e }), { minLength: 12, maxLength: 60 })
  .map((codes) => String.fromCharCode(...codes));
const noise = (most: number) => fc.uint8Array({ maxLength: most });
/** Lines of base64, most of them as long as the one before, with what may stand between. */
const lines = fc
  .array(
    fc.record({
      widths: fc.array(
        fc.oneof({ weight: 4, arbitrary: fc.constant(76) }, fc.integer({ min: 1, max: 150 })),
        {
          maxLength: 6,
        },
      ),
      end: fc.constantFrom(...BREAKS, "\n\n", " \n", "=\n", "\\t", '\\"', "\\\\n", "%41"),
    }),
    { maxLength: 12 },
  )
  .map((parts) =>
    parts
      .map(({ widths, end }) => widths.map((width) => "Ab9/n+r_".repeat(20).slice(0, width) + end).join(""))
      .join(""),
  );

/** `text` in lines of `width` characters. */
function wrap(text: string, width: number, lineBreak: string): string {
  return text.replaceAll(new RegExp(`.{${width}}`, "g"), `$&${lineBreak}`);
}

/** Where a character stands once the text is wrapped. */
const placeOf = (index: number, width: number, lineBreak: string): number =>
  index + Math.floor(index / width) * lineBreak.length;

describe("attack 37: a secret in wrapped lines", () => {
  it("is masked to the character, whatever the width, the break, and where in a line it begins", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          secret,
          before: noise(400),
          after: noise(2_000),
          encoding: fc.constantFrom(...ENCODINGS),
          width: fc.oneof(fc.constantFrom(60, 64, 76), fc.integer({ min: 40, max: 130 })),
          lineBreak: fc.constantFrom(...BREAKS),
          cuts: fc.array(fc.nat(4_000), { maxLength: 5 }),
        }),
        async ({ secret: value, before, after, encoding: { encode, bits }, width, lineBreak, cuts }) => {
          const document = Buffer.concat([before, bytesOf(value), after]);
          const body = `"${wrap(encode(document), width, lineBreak)}"`;
          const first = Math.floor((8 * before.length) / bits);
          const last = Math.ceil((8 * (before.length + value.length)) / bits) - 1;
          const [start, end] = [first, last].map((index) => 1 + placeOf(index, width, lineBreak));
          const expected = `${body.slice(0, start)}${"*".repeat(end! + 1 - start!)}${body.slice(end! + 1)}`;
          const redactor = createRedactor([bytesOf(value)]);
          expect(textOf(redactor.whole(bytesOf(body)))).toBe(expected);
          const offsets = cuts.filter((offset) => offset < body.length).toSorted((a, b) => a - b);
          const { output } = await pumped(redactor, "distance", cut(bytesOf(body), offsets));
          expect(textOf(output)).toBe(expected);
        },
      ),
      { numRuns: 300, seed },
    );
  });

  it("is found wherever a stream is cut, across the first of its bytes too", async () => {
    const redactor = createRedactor([bytesOf(PLAIN_SECRET)]);
    for (const lineBreak of BREAKS) {
      for (const skip of [0, 1, 2, 3]) {
        // The break stands behind so many bytes of the form.
        const document = `${"x".repeat(57 - skip)}${PLAIN_SECRET}${"y".repeat(80)}`;
        const body = bytesOf(wrap(base64(bytesOf(document)), 76, lineBreak));
        const expected = textOf(redactor.whole(body));
        expect(expected).toMatch(/\*{46}/);
        for (let offset = 1; offset < body.length; offset++) {
          const { output } = await pumped(redactor, "distance", cut(body, [offset]));
          if (textOf(output) !== expected) expect(textOf(output)).toBe(expected);
        }
      }
    }
  });

  it("is found in a large body, on either side of where the search's windows and rows end", () => {
    const redactor = createRedactor([bytesOf(PLAIN_SECRET)], { shapes: true, entropy: false, minted: true });
    for (const lineBreak of BREAKS) {
      for (const before of [5_900, 6_100, 47_000, 48_000, 49_100]) {
        for (let shift = 0; shift < 60; shift += 7) {
          const document = Buffer.concat([Buffer.alloc(before + shift, "x~?"), bytesOf(PLAIN_SECRET)]);
          const body = bytesOf(wrap(base64(Buffer.concat([document, Buffer.alloc(900)])), 76, lineBreak));
          const first = placeOf(Math.floor((8 * (before + shift)) / 6), 76, lineBreak);
          const masked = redactor.whole(body);
          expect(masked.indexOf(0x2a), `${before + shift}`).toBe(first);
          expect(masked.lastIndexOf(0x2a) - first).toBeGreaterThanOrEqual(
            Math.floor((8 * PLAIN_SECRET.length) / 6),
          );
        }
      }
    }
  });

  it("is found as it is, whole in one line or across two, and what begins with the `n` of a `\\n`", () => {
    const line = "AbCd/+".repeat(12);
    for (const value of ["ncd/Aefg41+0=x", "Ncd/Aefg41+0=x", "rcd/Aefg41+0=x"]) {
      const redactor = createRedactor([bytesOf(value)]);
      const written = value.replaceAll("/", "\\/");
      for (const row of ["", `${line}\\n`, `${line}\\n`.repeat(3), `${line}\\r`.repeat(3)]) {
        const body = `"${row}${line}\\${written}${line}"`;
        const start = body.indexOf(written);
        expect(redactor.text(body)).toBe(
          body.slice(0, start) + "*".repeat(written.length) + body.slice(start + written.length),
        );
        for (const lineBreak of PLAIN) {
          const split = `${line}${lineBreak}${line}${value.slice(0, 4)}`;
          expect(redactor.text(`${line}${lineBreak}${value.slice(0, 8)}${line}`)).not.toContain("*");
          expect(redactor.text(`${line}${lineBreak}${value}`)).toBe(`${line}${lineBreak}${"*".repeat(14)}`);
          // Its first characters end a line of base64.
          expect(redactor.text(`${split}${lineBreak}${value.slice(4)}`)).toBe(
            split.slice(0, -4) + "*".repeat(14 + lineBreak.length),
          );
        }
      }
    }
  });

  it("is found far before, between and far behind wrapped lines", () => {
    const redactor = createRedactor([bytesOf(PLAIN_SECRET)]);
    const row = wrap("Ab9/".repeat(190), 76, "\n");
    const far = "some words ".repeat(300);
    const body = (value: string) => `${value}${far}${row}${far}${value} ${value}${far}${row}${far}${value}`;
    expect(redactor.text(body(PLAIN_SECRET))).toBe(body("*".repeat(PLAIN_SECRET.length)));
  });

  it("is masked with the breaks, or what looks like one, that belong to it", () => {
    const line = "AbCd/+".repeat(12);
    const masked = (value: string, before: string, written: string, behind: string): void => {
      const redactor = createRedactor([bytesOf(value)]);
      expect(redactor.text(before + written + behind)).toBe(before + "*".repeat(written.length) + behind);
    };
    masked("ends-so-01234567\n", `${line}\n${line}\n${line}`, "ends-so-01234567\n", `${line}\n${line}\n`);
    masked("Qabc%0Adefgh12", `${line}\n${line}\n${line}`, "Qabc%0Adefgh12", `${line}\n${line}`);
    // Undone, it begins with a half of what seems to wrap a line.
    masked("\nA\\/bcdefgh12345", `${line}\r\n${line}\r`, "\nA%2Fbcdefgh12345", ` ${line}`);
  });

  it("a value that holds or ends with a break of lines is found in lines all the same", () => {
    for (const value of [
      "first-line\nsecond-line",
      "trailing-line-break\n",
      "back\\slash\\end\\",
      "\nleading-break",
    ]) {
      const redactor = createRedactor([bytesOf(value)]);
      for (const lineBreak of BREAKS) {
        const document = `${"x".repeat(100)}${value}${"y".repeat(100)}`;
        const masked = redactor.text(wrap(base64(bytesOf(document)), 76, lineBreak));
        expect(masked, JSON.stringify([value, lineBreak])).toMatch(/\*{16}/);
        const plain = redactor.text(`${"x".repeat(76)}${lineBreak}${value}${"y".repeat(60)}`);
        expect(plain).not.toContain(value);
      }
    }
  });
});

describe("a row of wrapped lines", () => {
  const worth = worthUndoing(formsOf([bytesOf(PLAIN_SECRET)]));

  /** The rows as they are told of. */
  function rowsOf(bytes: Uint8Array): number[] {
    const sift = new Sift(bytes, bytes.length, worth, 0, 0);
    const notes: number[] = [];
    while (sift.next()) if (sift.kind === WRAPS) notes.push(sift.first, sift.at, ROW);
    return notes;
  }

  it("is joined at once as it is break by break", () => {
    let rows = 0;
    fc.assert(
      fc.property(lines, (text) => {
        const bytes = bytesOf(text);
        const notes = rowsOf(bytes);
        rows += notes.length / NOTE;
        const breaks = singly(bytes, notes);
        const joined = unescape(bytes, 0, bytes.length, notes);
        expect(textOf(joined)).toBe(textOf(unescape(bytes, 0, bytes.length, breaks)));
        const origins = new Origins(bytes, 0, notes);
        const places = Array.from(joined, (_, index) => origins.startOf(index));
        expect(places.every((place, index) => bytes[place] === joined[index])).toBe(true);
        expect(places.every((place, index) => origins.endOf(index) === place + 1)).toBe(true);
        expect(places).toEqual(places.toSorted((a, b) => a - b));
        for (let i = 0; i < breaks.length; i += NOTE) {
          expect(breaks[i + 2]).toBe(WRAPPED);
          expect(text.slice(breaks[i]!, breaks[i + 1]!)).toMatch(/^(?:[\r\n]{1,2}|(?:\\[rn]){1,2})$/);
          expect(text.slice(breaks[i]! - 40, breaks[i])).toMatch(/^[A-Za-z0-9+/_-]{40}$/);
        }
      }),
      { numRuns: 400, seed },
    );
    expect(rows).toBeGreaterThan(100);
  });

  it("holds all breaks of a mail, and is not longer than 32 KiB", () => {
    for (const lineBreak of BREAKS) {
      // As many bytes as the search looks at in one go, and no width at which breaks stand alike in blocks of them.
      const body = bytesOf(wrap("Ab9/".repeat(14_000), 75, lineBreak));
      const notes = rowsOf(body);
      expect(singly(body, notes).length / NOTE, JSON.stringify(lineBreak)).toBe(746);
      expect(notes.length / NOTE).toBeLessThan(6);
      for (let i = 0; i < notes.length; i += NOTE)
        expect(notes[i + 1]! - notes[i]!).toBeLessThanOrEqual(32_768);
    }
  });
});
