import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { makeTemplate } from "../support/gateway.ts";
import { killRounds } from "../support/kill-rounds.ts";

/**
 * `npm run soak`: 100 rounds of kill -9 under load, held against the ledger (`--rounds`, `--seed` change it), 10,000
 * interleavings of approvals (approvals.ts), and the API's description tried value by value where schemathesis is there.
 */
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
  const approvals = spawnSync(process.execPath, ["test/soak/approvals.ts"], { stdio: "inherit" });
  const described = spawnSync("vitest", ["run", "--project", "gateway", "test/local/schemathesis.test.ts"], {
    stdio: "inherit",
    env: { ...process.env, SCHEMATHESIS_PHASES: "coverage,fuzzing,stateful" },
  });
  process.exitCode = holds && approvals.status === 0 && described.status === 0 ? 0 : 1;
} finally {
  await template.remove();
}
