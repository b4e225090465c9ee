import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { coversGlob, matchesGlob, pathGlobSchema } from "../../../src/base/glob.ts";

/** The definition, word for word: a `*` takes nothing, or one character and goes on. */
function matchesNaively(pattern: string, text: string): boolean {
  if (pattern === "") return text === "";
  if (pattern[0] === "*") {
    return matchesNaively(pattern.slice(1), text) || (text !== "" && matchesNaively(pattern, text.slice(1)));
  }
  return pattern[0] === text[0] && matchesNaively(pattern.slice(1), text.slice(1));
}

/** A text that counts how many of its characters are looked at, one by one or in a native search. */
function counted(text: string): { readonly text: string; readonly looks: () => number } {
  let looks = 0;
  const proxy = new Proxy(Object(text) as object, {
    get(target, key) {
      if (typeof key === "string" && /^[0-9]+$/.test(key)) {
        looks++;
        return text[Number(key)];
      }
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== "function") return value;
      return (search: string, from?: number) => {
        looks += key === "indexOf" ? text.length - (from ?? 0) : search.length;
        return Reflect.apply(value, text, from === undefined ? [search] : [search, from]) as unknown;
      };
    },
  });
  return { text: proxy as unknown as string, looks: () => looks };
}

const few = (symbols: string[], maxLength: number) =>
  fc.array(fc.constantFrom(...symbols), { maxLength }).map((parts) => parts.join(""));
const patterns = few(["a", "b", "/", "*"], 8);
const texts = few(["a", "b", "/"], 10);

describe("a glob", () => {
  it("matches exactly what its definition says", () => {
    fc.assert(
      fc.property(patterns, texts, (pattern, text) => {
        expect(matchesGlob(pattern, text)).toBe(matchesNaively(pattern, text));
      }),
      { numRuns: 3_000 },
    );
  });

  it("covers another one only if it matches all that the other matches", () => {
    const fillings = fc.array(few(["a", "b", "/"], 3), { minLength: 8, maxLength: 8 });
    const outers = fc.array(fc.constantFrom("", "*", "a", "*b*"), { minLength: 10, maxLength: 10 });
    let covered = 0;
    fc.assert(
      fc.property(patterns, outers, fillings, (inner, spread, fills) => {
        const outer = [...inner].map((symbol, index) => spread[index] || symbol).join("");
        if (!coversGlob(outer, inner)) return;
        covered++;
        let star = 0;
        const text = inner.replace(/\*/g, () => fills[star++] ?? "");
        expect(matchesNaively(inner, text)).toBe(true);
        expect(matchesGlob(outer, text)).toBe(true);
      }),
      { numRuns: 2_000, seed: 7 },
    );
    expect(covered).toBeGreaterThan(300);
  });

  it.each([
    ["*", "a*b*", true],
    ["a*", "a*b*", true],
    ["a*b", "a*b", true],
    ["a", "*", false],
    ["aa", "a*", false],
    ["a*", "*", false],
    ["a/b*", "a/*", false],
  ])("%s covers %s: %s", (outer, inner, covered) => {
    expect(coversGlob(outer, inner)).toBe(covered);
  });

  it.each([
    ["one star and a long tail that never comes", `/*${"a".repeat(1_020)}b`],
    ["many stars", `/${"*aab".repeat(8)}`],
    ["many short parts that all come", `/${"*a".repeat(200)}`],
  ])("attack 88: looks at each character of a path a few times at most, with %s", (_what, pattern) => {
    const path = `/${"a".repeat(15_000)}`;
    const { text, looks } = counted(path);
    expect(matchesGlob(pattern, text)).toBe(matchesGlob(pattern, path));
    expect(looks()).toBeGreaterThan(0);
    expect(looks()).toBeLessThan(200 * path.length + pattern.length);
  });

  it("attack 88: of a path is short and has few stars", () => {
    const isPathGlob = (text: string): boolean => pathGlobSchema.safeParse(text).success;
    expect(isPathGlob(`/${"a".repeat(255)}`)).toBe(true);
    expect(isPathGlob(`/${"a".repeat(256)}`)).toBe(false);
    expect(isPathGlob(`/${"*/".repeat(8)}`)).toBe(true);
    expect(isPathGlob(`/${"*/".repeat(9)}`)).toBe(false);
  });
});
