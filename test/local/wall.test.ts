import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { beforeAll, expect, test } from "vitest";
import { attacksOf, type Mutation } from "../prove/mutation.ts";
import { MUTATIONS } from "../prove/mutations.ts";
import { attacksIn } from "../prove/titles.ts";
import { misfit, ROOT } from "../prove/tree.ts";
import { projectOf } from "../prove/vitest-run.ts";
import { OUT_OF_REACH, WALL } from "../prove/wall.ts";

/* That the wall has no hole: every attack has its test at the door, and a defence whose absence the test must notice. */

const DOOR = "test/attacks/";
const NUMBERED = Object.entries(WALL).flatMap(([section, numbers]) =>
  numbers.map((number) => ({ number, section })),
);

interface Listed {
  readonly file: string;
  /** The test's own, without those of the groups that it is in. */
  readonly title: string;
  /** With them. */
  readonly name: string;
}

/** Of the tests that run in Node, tables of cases written out. */
let tests: readonly Listed[] = [];
let model = "";
let list = "";

beforeAll(async () => {
  model = read("docs/threat-model.md");
  list = model.slice(model.indexOf("\n## The attacks\n"), model.indexOf("\n## The proof\n"));
  // What runs this very test is not to be taken for the environment of what is listed.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("VITEST")));
  const vitest = path.join(ROOT, "node_modules/vitest/vitest.mjs");
  const named = MUTATIONS.flatMap((mutation) => mutation.tests).filter(
    (file) => projectOf(file) === "gateway" && !file.startsWith(DOOR),
  );
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [vitest, "list", "--project=gateway", "--no-static-parse", DOOR, ...new Set(named), "--json"],
    { cwd: ROOT, env, maxBuffer: 64 * 1024 * 1024, timeout: 110_000 },
  );
  const listed: readonly { name: string; file: string }[] = JSON.parse(stdout.slice(stdout.indexOf("[\n")));
  tests = listed.map(({ name, file }) => ({
    file: path.relative(ROOT, file),
    title: name.split(" > ").at(-1) ?? "",
    name,
  }));
}, 120_000);

function read(file: string): string {
  return readFileSync(path.join(ROOT, file), "utf8");
}

const nameOf = (mutation: Mutation) =>
  `${attacksOf(mutation).join(", ")}: ${mutation.what} (${mutation.tests.join(", ")})`;

test("every attack of the wall has a test of its name at the gateway's door, in a file of its section", () => {
  expect(tests.length).toBeGreaterThan(500);
  const holes = NUMBERED.filter(
    ({ number, section }) =>
      !tests.some(
        ({ file, title }) =>
          file.startsWith(DOOR + section) && /^attacks? [^:]*:/.test(title) && attacksIn(title).has(number),
      ),
  );
  expect(holes).toEqual([]);
});

test("every attack of the wall has a defence that `npm run prove` takes out, for a test at the door to notice", () => {
  const proven = new Set(
    MUTATIONS.filter((mutation) => mutation.tests.every((file) => file.startsWith(DOOR))).flatMap(attacksOf),
  );
  expect(NUMBERED.filter(({ number }) => !proven.has(number))).toEqual([]);
});

test("every mutation stands in the source exactly once, and changes it", () => {
  const faults = MUTATIONS.flatMap((mutation) => {
    const fault = misfit(mutation);
    return fault === null ? [] : [`${nameOf(mutation)}: ${fault}`];
  });
  expect(faults).toEqual([]);
});

test("every mutation has a name of its own, and is run against one project's tests that name its attacks", () => {
  const names = MUTATIONS.map(nameOf);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  const unnamed = MUTATIONS.filter((mutation) => {
    const namedBy = (file: string): ReadonlySet<number> =>
      projectOf(file) === "worker"
        ? attacksIn(existsSync(path.join(ROOT, file)) ? read(file) : "")
        : attacksIn(tests.flatMap((each) => (each.file === file ? [each.name] : [])).join("\n"));
    const named = mutation.tests.map(namedBy);
    return (
      new Set(mutation.tests.map(projectOf)).size !== 1 ||
      attacksOf(mutation).some((attack) => !named.some((numbers) => numbers.has(attack)))
    );
  });
  expect(unnamed.map(nameOf)).toEqual([]);
});

test("the list of attacks in the threat model has each number once, and those of the wall in its sections", () => {
  const rows = [...list.matchAll(/^\| (?<section>[a-z]+) \| (?<attacks>[0-9].*) \|$/gm)].map(
    ({ groups }) => ({
      section: groups?.["section"] ?? "",
      numbers: [...(groups?.["attacks"] ?? "").matchAll(/(?:^|· )([0-9]+) /g)].map(([, number]) =>
        Number(number),
      ),
    }),
  );
  expect(rows.flatMap(({ numbers }) => numbers)).toEqual(Array.from({ length: 92 }, (_, index) => index + 1));
  for (const { number, section } of NUMBERED) {
    expect(rows.find(({ numbers }) => numbers.includes(number))?.section, `attack ${number}`).toBe(section);
  }
});

test("the threat model says of which attacks the wall is made", () => {
  const numbers = NUMBERED.map(({ number }) => number).toSorted((a, b) => a - b);
  const runs: [first: number, last: number][] = [];
  for (const number of numbers) {
    const run = runs.at(-1);
    if (run?.[1] === number - 1) run[1] = number;
    else runs.push([number, number]);
  }
  const parts = runs.map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`));
  expect(model.replaceAll("\n", " ")).toContain(`${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}.`);
});

test.each([...OUT_OF_REACH])("attack %i is out of reach, and the list says so", (number, reason) => {
  expect(list).toMatch(new RegExp(`[|·] ${number} [^|·]*\\(${reason}\\)`));
});
