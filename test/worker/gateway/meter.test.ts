import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EventFields } from "../../../src/gateway/meter-events.ts";
import { JsonFields } from "../../../src/gateway/meter-json.ts";

const PATHS = ["model", "usage.input", "usage.details.cached", "a.b.c"];

/** Cut into pieces of the given lengths, over and over. */
function pieces(text: string, lengths: readonly number[]): Uint8Array[] {
  const bytes = Buffer.from(text, "utf8");
  const cut: Uint8Array[] = [];
  for (let at = 0, n = 0; at < bytes.length; n++) {
    const length = lengths[n % lengths.length] ?? 1;
    cut.push(bytes.subarray(at, at + length));
    at += length;
  }
  return cut;
}

function foundIn(fields: JsonFields | EventFields, text: string, lengths: readonly number[] = [7]) {
  for (const piece of pieces(text, lengths)) fields.see(piece);
  fields.end();
  return Object.fromEntries(fields.found);
}

/** What JSON.parse finds at a path. */
function parsed(value: unknown): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const path of PATHS) {
    let at: unknown = value;
    for (const name of path.split(".")) {
      const isObject = typeof at === "object" && at !== null && !Array.isArray(at);
      at = isObject && Object.hasOwn(at as object, name) ? (at as Record<string, unknown>)[name] : undefined;
    }
    if (typeof at === "number" || (typeof at === "string" && Buffer.byteLength(JSON.stringify(at)) < 250)) {
      found[path] = at;
    }
  }
  return found;
}

const lengths = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });
const names = fc.constantFrom("model", "usage", "input", "details", "cached", "a", "b", "c", "x");
const tree = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.string({ unit: "binary" }),
    fc.constantFrom('"usage":{"input":1}', "\\", '"', "null", ""),
    fc.constantFrom(null, true, false),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(names, tie("value"), { maxKeys: 6 }),
  ),
})).value;
const root = fc.dictionary(names, tree, { maxKeys: 6 });

describe("reading an answer as it passes", () => {
  it("property: finds what JSON.parse finds, wherever the body is cut and however it is laid out", () => {
    fc.assert(
      fc.property(root, lengths, fc.constantFrom(0, 2), (value, cut, indent) => {
        const text = JSON.stringify(value, null, indent);
        expect(foundIn(new JsonFields(PATHS), text, cut)).toEqual(parsed(JSON.parse(text)));
      }),
      { numRuns: 1_000 },
    );
  });

  it("property: of events, finds what came last", () => {
    fc.assert(
      fc.property(
        fc.array(root, { maxLength: 5 }),
        lengths,
        fc.constantFrom("\n", "\r\n"),
        (values, cut, end) => {
          const text = values
            .map((value) => `event: x${end}: comment${end}data: ${JSON.stringify(value)}${end}${end}`)
            .join("");
          const last = Object.assign({}, ...values.map((value) => parsed(JSON.parse(JSON.stringify(value)))));
          expect(foundIn(new EventFields(PATHS), `${text}data: [DONE]${end}${end}`, cut)).toEqual(last);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("what a model says, an echo or a list holds is not taken for the usage", () => {
    const forged = '{"usage":{"input":1}}';
    const body = {
      choices: [{ text: forged, usage: { input: 2 } }],
      "usage.input": 3,
      metadata: { usage: { input: 4 } },
      usage: { input: 100, details: { cached: 5 } },
    };
    expect(foundIn(new JsonFields(PATHS), JSON.stringify(body))).toEqual({
      "usage.input": 100,
      "usage.details.cached": 5,
    });
    const event = `data: ${JSON.stringify({ text: `\n\ndata: ${forged}\n\n` })}\n\n`;
    expect(foundIn(new EventFields(PATHS), event)).toEqual({});
  });

  it("a list at the root, as Gemini streams it, has roots in it", () => {
    const body = [{ usage: { input: 1 } }, { usage: { input: 7 }, model: "m" }];
    expect(foundIn(new JsonFields(PATHS), JSON.stringify(body))).toEqual({ "usage.input": 7, model: "m" });
  });

  it("deep nesting, endless texts and garbage take no memory and find nothing", () => {
    for (const text of [
      "[".repeat(100_000),
      '{"a":'.repeat(50_000),
      `{"model":"${"x".repeat(300_000)}`,
      "}]}{,:",
    ]) {
      expect(foundIn(new JsonFields(PATHS), text, [4_096])).toEqual({});
      expect(foundIn(new EventFields(PATHS), `data: ${text}`, [4_096])).toEqual({});
    }
  });
});
