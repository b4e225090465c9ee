import fc from "fast-check";
import { expect, it } from "vitest";
import { readJws } from "../../../../src/identity/oidc/jws.ts";
import { parseStrictObject } from "../../../../src/identity/oidc/strict-json.ts";
import { encodePart } from "./issuer-documents.ts";

it("an object with unique names is parsed as JSON.parse does, however it is escaped and spaced", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ maxLength: 8 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 }),
      fc.boolean(),
      (object, spaced) => {
        const text = spaced ? JSON.stringify(object, null, 2) : JSON.stringify(object);
        expect(JSON.stringify(parseStrictObject(text))).toBe(JSON.stringify(JSON.parse(text)));
      },
    ),
    { numRuns: 200 },
  );
});

it("an object that names a member twice, at any depth, is none", () => {
  const name = fc.string({ unit: "binary", maxLength: 10 });
  fc.assert(
    fc.property(name, fc.jsonValue({ maxDepth: 1 }), fc.nat({ max: 5 }), (twice, value, depth) => {
      const [key, json] = [JSON.stringify(twice), JSON.stringify(value)];
      const escaped = `"${[...Array(twice.length).keys()]
        .map((at) => `\\u${twice.charCodeAt(at).toString(16).padStart(4, "0")}`)
        .join("")}"`;
      const inner = `{${key}:${json},${escaped}:${json}}`;
      const text = `${'{"a":['.repeat(depth)}${inner}${"]}".repeat(depth)}`;
      expect(JSON.parse(text)).toBeTypeOf("object");
      expect(parseStrictObject(text)).toBeNull();
    }),
    { numRuns: 200 },
  );
});

it("nesting is bounded", () => {
  const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
  expect(parseStrictObject(nested(16))).not.toBeNull();
  expect(parseStrictObject(nested(17))).toBeNull();
});

it("no text whatever makes reading a token throw, and what it reads is asymmetric and bounded", () => {
  const part = fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.json({ maxDepth: 1 }).map(encodePart),
    fc
      .record({ alg: fc.constantFrom("RS256", "none", 1), kid: fc.jsonValue({ maxDepth: 1 }) })
      .map(encodePart),
    fc.constant("AAAA"),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
      const read = readJws(parts.join("."), 1_000);
      if (read.kind === "read") expect(read.jws.algorithm).toBe("RS256");
    }),
    { numRuns: 300 },
  );
});
