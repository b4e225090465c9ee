/**
 * The wall: attacks that have a test at the running gateway's own door and a defence whose absence such a test
 * notices, by the sections of docs/threat-model.md. A section's tests are in `test/attacks/<section>*.test.ts`. Numbers
 * join it as they are defended.
 */
export const WALL: Readonly<Record<string, readonly number[]>> = {
  destination: from(1, 16),
  redirect: from(17, 22),
  path: from(23, 29),
  headers: from(30, 35),
  echo: from(36, 49),
  token: [50, 57],
  address: from(59, 62),
  concurrency: from(63, 69),
  crypto: from(70, 73),
  approval: from(74, 80),
  audit: [82],
  load: from(88, 92),
};

/**
 * What is not defended, and why. The wall has a test that shows where it ends, and the defence that is taken out is
 * the sentence that tells of it.
 */
export const OUT_OF_REACH: ReadonlyMap<number, string> = new Map([
  [45, "out of reach: no search knows every way in which a credential can be written"],
]);

function from(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_number, index) => first + index);
}
