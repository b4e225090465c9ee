import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ALL_WORTH, worthUndoing } from "../../../src/gateway/redact/worth.ts";
import { AFTER_BACKSLASH, AFTER_PERCENT } from "../../../src/gateway/redact/escapes.ts";
import { BASE64 } from "../../../src/gateway/redact/fold.ts";
import { formsOf } from "../../../src/gateway/redact/forms.ts";
import { NOTE, ROW, singly, WRAPPED } from "../../../src/gateway/redact/notes.ts";
import { LEADS, pairOf, TOKEN } from "../../../src/gateway/redact/pairs.ts";
import { shapeHeads } from "../../../src/gateway/redact/shapes.ts";
import {
  ALL_RUNS,
  DASHES,
  LEAD,
  NAME,
  NAMES,
  RUN,
  RUNS,
  Sift,
  WRAP,
  WRAPS,
} from "../../../src/gateway/redact/sift.ts";

/** What the module does, byte by byte and in JavaScript. */
type Found = string;
const WORTH = worthUndoing(formsOf([Buffer.from("sk_live_0123456789abcdef")]));
const REACH = 364;
const EVERYTHING = RUNS | ALL_RUNS | NAMES;

function sifted(bytes: Uint8Array, worth = WORTH, wanted = EVERYTHING): Found[] {
  const sift = new Sift(bytes, bytes.length, worth, wanted, REACH);
  const found: Found[] = [];
  let behind = 0;
  while (sift.next()) {
    if (sift.kind === RUN) found.push(`run ${sift.first}-${sift.at}`);
    else if (sift.kind === WRAP || sift.kind === WRAPS) {
      const notes = singly(bytes, [sift.first, sift.at, sift.kind === WRAPS ? ROW : WRAPPED]);
      for (let i = 0; i < notes.length; i += NOTE) found.push(`wrap ${notes[i]}-${notes[i + 1]}`);
      behind = sift.at;
      // The second half of a break may be told of where a window ends between the two.
    } else if (sift.kind !== LEAD || sift.at >= behind)
      found.push(`${{ [LEAD]: "lead", [DASHES]: "dashes", [NAME]: "name" }[sift.kind]} ${sift.at}`);
  }
  return found;
}

function naively(bytes: Uint8Array, worth = WORTH): { leads: Found[]; runs: Found[]; names: Found[] } {
  const leads: Found[] = [];
  const runs: Found[] = [];
  const names: Found[] = [];
  let run = 0;
  let behind = 0;
  for (let i = 0; i <= bytes.length; i++) {
    if (i < bytes.length && TOKEN[bytes[i]!] === 1) run++;
    else {
      if (run >= 20) runs.push(`run ${i - run}-${i}`);
      run = 0;
    }
    if (bytes[i] === 0x5f && bytes[i + 1] === 0x74) names.push(`name ${i}`);
    if (i === bytes.length || i < behind || LEADS[bytes[i]!] === 0 || isQuiet(bytes, i, worth)) continue;
    const length = wrapLength(bytes, i);
    leads.push(length > 0 ? `wrap ${i}-${i + length}` : `lead ${i}`);
    behind = i + length;
  }
  return { leads, runs, names };
}

/** Of the break at `at`, as it is or escaped, if it wraps a line and no escape may begin behind it. */
function wrapLength(bytes: Uint8Array, at: number): number {
  if (at < 40 || !bytes.subarray(at - 40, at).every((byte) => BASE64[byte] === 1)) return 0;
  const text = Buffer.from(bytes.subarray(at, at + 5)).toString("latin1");
  return /^(?:[\r\n]|\\[rn]){1,2}(?![%&\\\r\n])/.exec(text)?.[0].length ?? 0;
}

function isQuiet(bytes: Uint8Array, at: number, worth: typeof WORTH): boolean {
  const [lead, next] = [bytes[at]!, bytes[at + 1]];
  const isBehindBase64 = at > 0 && BASE64[bytes[at - 1]!] === 1;
  if (lead === 0x0a || lead === 0x0d) return !isBehindBase64;
  // The end: nothing begins there.
  if (next === undefined) return true;
  if (lead === 0x25) return AFTER_PERCENT[next] === 0;
  const behind = Buffer.from(bytes.subarray(at + 1, at + 12)).toString("latin1");
  if (lead === 0x26) return !/^(?:#|[0-9A-Za-z]{1,8};)/.test(behind);
  const single = AFTER_BACKSLASH[next]!;
  if (single >= 0)
    return worth.bytes[single] === 0 && !(isBehindBase64 && (single === 0x0a || single === 0x0d));
  // Of a unit above the first 256, two digits are enough.
  const upper = Number.parseInt(/^u([0-9a-fA-F]{2})/.exec(behind)?.[1] ?? "0", 16);
  if (upper > 0) return worth.units[upper] === 0;
  const unit = /^u([0-9a-fA-F]{4})/.exec(behind);
  if (unit === null) return !/^[uUx0-3]/.test(behind);
  const code = Number.parseInt(unit[1]!, 16);
  if (code < 0x20) return false;
  return worth.bytes[code < 0x80 ? code : 0xc0 | (code >> 6)] === 0;
}

const PIECES = [
  ...[
    "%41",
    "%u00e9",
    "%zz",
    "&amp;",
    "& ",
    "&;",
    "&NewLine;",
    "&abcdefgh;",
    "&abcdefghi;",
    "\\q",
    "\\u{61}",
    "&#65;",
    "\\n",
    '\\"',
    "\\\\",
    "\\/",
    "\\u0041",
    "\\u4e2d",
    "\\u4e2",
    "\\u4ezz",
    "\\r\\n",
    "\r\\n",
    "\\r\n",
  ],
  ...["\\u00e9", "\\u000a", "\\ud83d\\ude00", "\\x41", "\\101", "\r\n", "\n", "\r", "--", "-----", "_token"],
  ...[
    '"access_token":"',
    "sk_live_",
    "ghp_",
    "AKIA",
    "abc",
    " ",
    ",",
    "é",
    "\u0000",
    "+/",
    "=",
    "A".repeat(7),
  ],
  ...["0123456789abcdefghij", "Zm9v".repeat(16), "x".repeat(63), "y".repeat(64), "z".repeat(65)],
];
const text = fc
  .array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ unit: "binary", maxLength: 3 })), { maxLength: 60 })
  .map((pieces) => Buffer.from(pieces.join(""), "utf8"));
const noise = fc.uint8Array({ maxLength: 300 });
const at = (found: readonly Found[], what: string) => found.filter((each) => each.startsWith(what));

describe("what is passed over 16 bytes at a time", () => {
  it("holds nothing that looking at each byte would find", () => {
    fc.assert(
      fc.property(fc.oneof(text, noise), fc.boolean(), (bytes, all) => {
        const worth = all ? ALL_WORTH : WORTH;
        const found = sifted(bytes, worth);
        const expected = naively(bytes, worth);
        expect(found.filter((each) => /^(?:lead|wrap)/.test(each))).toEqual(expected.leads);
        expect(at(found, "run")).toEqual(expected.runs);
        expect(at(found, "name")).toEqual(expected.names);
      }),
      { numRuns: 400, seed: 20_261_122 },
    );
  });

  it("is the same wherever a window of the text ends", () => {
    fc.assert(
      fc.property(
        text,
        fc.integer({ min: -150, max: 20 }),
        fc.constantFrom(" ", "a"),
        (bytes, shift, fill) => {
          const body = Buffer.concat([Buffer.alloc(65_536 + shift, fill), bytes, Buffer.alloc(200, " ")]);
          const found = sifted(body);
          const expected = naively(body);
          expect(found.filter((each) => /^(?:lead|wrap)/.test(each))).toEqual(expected.leads);
          expect(at(found, "run")).toEqual(expected.runs);
          expect(at(found, "name")).toEqual(expected.names);
        },
      ),
      { numRuns: 60, seed: 20_261_122 },
    );
  });

  it("is told block by block: pairs, then runs that end there, then escapes", () => {
    const body = Buffer.from(`%41 ${"a".repeat(30)} _t %42 -- ${"b".repeat(100)}\\\\`);
    expect(sifted(body)).toEqual([
      ...["dashes 42", "dashes 42", "name 35", "run 4-34", "lead 0", "lead 38", "run 45-145"],
      "lead 145",
    ]);
  });

  it("without entropy, only runs with which a credential may begin: by its head, behind an escape, near dashes", () => {
    const heads = shapeHeads();
    fc.assert(
      fc.property(text, (bytes) => {
        const found = at(sifted(bytes, WORTH, RUNS), "run");
        for (const run of naively(bytes).runs) {
          const first = Number(/\d+/.exec(run)![0]);
          const mayBegin =
            heads[pairOf(bytes[first]!, bytes[first + 1]!)] === 1 ||
            (first > 0 && (bytes[first - 1] === 0x5c || bytes[first - 1] === 0x25));
          if (mayBegin) expect(found).toContain(run);
        }
        expect(found.every((run) => naively(bytes).runs.includes(run))).toBe(true);
      }),
      { numRuns: 200, seed: 20_261_122 },
    );
    const near = Buffer.from(`-----\n${"q".repeat(30)}${" ".repeat(500)}${"q".repeat(30)}`);
    expect(at(sifted(near, WORTH, RUNS), "run")).toEqual(["run 6-36"]);
  });

  it("a search in a copy does not disturb the one that it is made in", () => {
    const outer = Buffer.from("%41 %42 %43");
    const sift = new Sift(outer, outer.length, WORTH, 0, REACH);
    expect([sift.next(), sift.at]).toEqual([true, 0]);
    expect(sifted(Buffer.from(`${" ".repeat(30)}%61`))).toEqual(["lead 30"]);
    expect([sift.next(), sift.at, sift.next(), sift.at, sift.next()]).toEqual([true, 4, true, 8, false]);
  });
});
