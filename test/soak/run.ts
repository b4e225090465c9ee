import { parseArgs } from "node:util";
import { makeTemplate } from "../support/gateway.ts";
import { killRounds } from "../support/kill-rounds.ts";

/** `npm run soak`: 100 rounds of kill -9 under load, held against the ledger. `--rounds`, `--seed` change it. */
const { values } = parseArgs({
  options: { rounds: { type: "string", default: "100" }, seed: { type: "string" } },
});
const rounds = Number(values.rounds);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
console.log(`kill -9 under load: ${rounds} rounds, seed ${seed}`);

const template = await makeTemplate();
process.env["VALETKEY_TEMPLATE"] = template.dir;
try {
  const report = await killRounds(rounds, seed, (round) => {
    if (round % 10 === 0) console.log(`  ${round} of ${rounds}`);
  });
  console.log(report);
  const holds =
    report.lost === 0 && report.doubled === 0 && report.unrecorded === 0 && report.called === report.uses;
  console.log(holds ? "holds: nothing lost, nothing doubled" : "DOES NOT HOLD");
  process.exitCode = holds ? 0 : 1;
} finally {
  await template.remove();
}
