/// <reference types="vite/types/importMeta.d.ts" />
import { expect, test } from "vitest";

const texts = Object.values(
  import.meta.glob<string>(["../../../src/base/problem.ts", "../../../docs/errors.md"], {
    query: "?raw",
    import: "default",
    eager: true,
  }),
);

/** `CODE status` of every line that matches. */
function codes(row: RegExp): string[] {
  return texts
    .flatMap((text) => [...text.matchAll(row)].map(([, code, status]) => `${code} ${status}`))
    .toSorted();
}

test("docs/errors.md tells of every code a client can meet, with its status, and of no other", () => {
  const known = codes(/^ {2}([A-Z_]+): \{ status: ([0-9]{3}),/gm);
  expect(known.length).toBeGreaterThan(20);
  expect(codes(/^\| `([A-Z_]+)` \| ([0-9]{3}) \| .{10,} \| .{10,} \|$/gm)).toEqual(known);
});
