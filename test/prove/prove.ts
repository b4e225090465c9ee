import { attacksOf, type Mutation } from "./mutation.ts";
import { attacksIn, patternFor } from "./titles.ts";
import { copyTree, misfit, type Tree, without } from "./tree.ts";
import { projectOf, runTests, type TestResult } from "./vitest-run.ts";

const AT_ONCE = 2;
const CONTROL_SECONDS = 900;
const MUTANT_SECONDS = 180;

/** What became of one mutation, for one of its attacks. */
export interface Verdict {
  readonly attack: number;
  readonly mutation: Mutation;
  /** The first test that failed; null: the mutation survived. */
  readonly caughtBy: TestResult | null;
  /** Why it counts for nothing, where no test could tell. */
  readonly trouble: string | null;
}

export interface Proof {
  readonly verdicts: readonly Verdict[];
  /** Tests that fail without any mutation, and mutations that do not fit the source: nothing is proven by those. */
  readonly faults: readonly string[];
}

/** Runs the tests as they are, which must pass, and then against each mutation, two at a time. */
export async function prove(all: readonly Mutation[], note: (line: string) => void): Promise<Proof> {
  const trees: Tree[] = [];
  try {
    for (let count = 0; count < AT_ONCE; count++) trees.push(await copyTree());
    const faults: string[] = [];
    const mutations = all.filter((mutation) => {
      const fault = misfit(mutation, trees[0]?.dir);
      if (fault !== null) faults.push(`${attacksOf(mutation).join(", ")} (${mutation.what}): ${fault}`);
      return fault === null;
    });
    for (const fault of faults) note(`DOES NOT FIT ${fault}`);
    const control = await runControl(trees, mutations, note);
    faults.push(...control.faults);
    // A test that fails as it is proves nothing, and says nothing against the proofs of others.
    const waiting = mutations.filter((mutation) =>
      attacksOf(mutation).every((attack) => {
        const own = namedIn(mutation, attack, control.tests);
        return own.length > 0 && own.every(({ state }) => state === "passed");
      }),
    );
    const verdicts = new Map<Mutation, readonly Verdict[]>();
    await Promise.all(
      trees.map(async (tree) => {
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
          const mutation = next;
          const result = await without(tree, mutation, () => attempt(tree, mutation, control.tests));
          verdicts.set(mutation, result);
          for (const verdict of result) note(describe(verdict));
        }
      }),
    );
    return { verdicts: mutations.flatMap((mutation) => verdicts.get(mutation) ?? []), faults };
  } finally {
    for (const tree of trees) tree.remove();
  }
}

export function describe({ attack, mutation, caughtBy, trouble }: Verdict): string {
  if (caughtBy !== null) return `caught    ${attack}: ${mutation.what}`;
  return `${trouble === null ? "SURVIVED " : "NO ANSWER"} ${attack}: ${mutation.what}${trouble === null ? "" : ` (${trouble})`}`;
}

async function runControl(
  trees: readonly Tree[],
  mutations: readonly Mutation[],
  note: (line: string) => void,
): Promise<{ readonly tests: readonly TestResult[]; readonly faults: readonly string[] }> {
  const files = [...new Set(mutations.flatMap(({ tests }) => tests))].sort();
  const projects = [...new Set(files.map(projectOf))];
  note(`control: the tests of ${files.length} files that name an attack, as the source is`);
  const runs = await Promise.all(
    projects.map((project, index) =>
      runTests(
        trees[index % trees.length] as Tree,
        files.filter((file) => projectOf(file) === project),
        "attacks? [0-9]",
        { seconds: CONTROL_SECONDS, bail: false },
      ),
    ),
  );
  const tests = runs.flatMap((run) => run.tests);
  const faults = [
    ...runs.flatMap(({ trouble }) => (trouble === null ? [] : [`control: ${trouble}`])),
    ...tests.flatMap(({ state, title }) => (state === "failed" ? [`control: fails as it is: ${title}`] : [])),
  ];
  for (const mutation of mutations) {
    for (const attack of attacksOf(mutation)) {
      if (namedIn(mutation, attack, tests).length === 0) {
        faults.push(`${attack} (${mutation.what}): no test in ${mutation.tests.join(", ")} names it`);
      }
    }
  }
  return { tests, faults };
}

function namedIn(mutation: Mutation, attack: number, tests: readonly TestResult[]): readonly TestResult[] {
  return tests.filter(({ file, title }) => mutation.tests.includes(file) && attacksIn(title).has(attack));
}

async function attempt(
  tree: Tree,
  mutation: Mutation,
  control: readonly TestResult[],
): Promise<readonly Verdict[]> {
  const attacks = attacksOf(mutation);
  const titles = control.filter(({ file }) => mutation.tests.includes(file)).map(({ title }) => title);
  const pattern = patternFor(titles, attacks) ?? "";
  const limits = { seconds: MUTANT_SECONDS, bail: attacks.length === 1 };
  const { tests, trouble } = await runTests(tree, mutation.tests, pattern, limits);
  const failed = tests.filter(({ state }) => state === "failed");
  return attacks.map((attack) => ({
    attack,
    mutation,
    caughtBy: namedIn(mutation, attack, failed)[0] ?? null,
    trouble,
  }));
}
