import { parseArgs } from "node:util";
import { attacksOf } from "./mutation.ts";
import { MUTATIONS } from "./mutations.ts";
import { prove } from "./prove.ts";
import { renderText, writeDocument } from "./table.ts";
import { misfit } from "./tree.ts";

/**
 * `npm run prove`: takes every defence out of a copy of the source, one at a time, and runs the tests that name its
 * attack, which must fail. Exits with 1 where a mutation survives. A run over all of them brings the table in
 * docs/threat-model.md up to date. `--only 17,36` for some attacks, `--json` for a machine, `--check` only tells which
 * mutations do not fit the source.
 */
const { values } = parseArgs({
  options: {
    only: { type: "string" },
    json: { type: "boolean", default: false },
    check: { type: "boolean", default: false },
  },
});
const only = values.only?.split(",").map(Number);
const chosen = MUTATIONS.filter(
  (mutation) => only === undefined || attacksOf(mutation).some((attack) => only.includes(attack)),
);
if (values.check) {
  const faults = chosen.flatMap((mutation) => {
    const fault = misfit(mutation);
    return fault === null ? [] : [`${attacksOf(mutation).join(", ")} (${mutation.what}): ${fault}`];
  });
  console.log([...faults, `${chosen.length} mutations, ${faults.length} do not fit`].join("\n"));
  process.exit(faults.length === 0 ? 0 : 1);
}
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

const startedAt = Date.now();
const { verdicts, faults } = await prove(chosen, (line) => console.error(line));
const survivors = verdicts.filter(({ caughtBy }) => caughtBy === null);
const isProven = faults.length === 0 && survivors.length === 0 && verdicts.length > 0;
if (values.json) {
  console.log(JSON.stringify({ proven: isProven, faults, verdicts }));
} else {
  console.log(renderText(verdicts));
  for (const fault of faults) console.log(`NOT PROVEN: ${fault}`);
  const seconds = Math.round((Date.now() - startedAt) / 1000);
  console.log(`${verdicts.length} proofs, ${survivors.length} survivors, ${seconds} s`);
}
if (only === undefined && isProven) writeDocument(verdicts);
process.exitCode = isProven ? 0 : 1;
