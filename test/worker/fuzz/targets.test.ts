import fc from "fast-check";
import { expect, test } from "vitest";

/** The fuzzer's own entry points with a second driver: here they run on every machine, from the same seed. */
const targets = import.meta.glob<{ readonly fuzz: (data: Buffer) => void }>("../../fuzz/targets/*.ts", {
  eager: true,
});

test("there is a target for every parser that reads what agents send", () => {
  const names = Object.keys(targets).map((path) => path.replace(/^.*\/|\.ts$/g, ""));
  for (const name of ["token", "path", "address", "scope", "headers", "redactor", "references"])
    expect(names).toContain(name);
});

test.each(Object.entries(targets))("no bytes break a property of %s", (_path, { fuzz }) => {
  const ascii = fc.string({ maxLength: 120 }).map((text) => Buffer.from(text));
  const any = fc.uint8Array({ maxLength: 120 }).map((bytes) => Buffer.from(bytes));
  fc.assert(fc.property(fc.oneof(ascii, any), fuzz), { numRuns: 200, seed: 20_261_122 });
});
