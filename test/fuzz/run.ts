import { parseArgs } from "node:util";
import { bundleTargets, engineOf, fuzzTarget, type Report, targetNames } from "./jazzer.ts";

/**
 * `npm run fuzz`: coverage-guided fuzzing of every target, one after the other, on one core. `--seconds 60` for each,
 * `--only path,token` for some, `--json` for a machine. Exits with 1 where a property broke; the input is printed and
 * kept. Where Jazzer.js does not load, says why and fuzzes nothing: the seeded slice runs with the tests anyway.
 */
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "20" },
    only: { type: "string" },
    json: { type: "boolean", default: false },
  },
});
const seconds = Number(values.seconds);
if (!Number.isInteger(seconds) || seconds < 1) throw new RangeError("--seconds takes a whole number from 1");
const known = targetNames();
const names = values.only?.split(",") ?? known;
const unknown = names.filter((name) => !known.includes(name));
if (unknown.length > 0)
  throw new RangeError(`no such target: ${unknown.join(", ")}; there are ${known.join(", ")}`);

const engine = engineOf();
const reports: Report[] = [];
if (engine.loads) {
  await bundleTargets(names);
  for (const name of names) {
    if (!values.json) console.error(`fuzzing ${name} for ${seconds} s`);
    reports.push(await fuzzTarget(engine.cli, name, seconds));
  }
}
const skipped = engine.loads ? null : engine.reason;
const found = reports.filter(({ finding }) => finding !== null);
if (values.json) {
  console.log(JSON.stringify({ skipped, reports }));
} else if (skipped !== null) {
  console.log(`skipped: Jazzer.js does not load here: ${skipped}`);
} else {
  console.log("target        runs        coverage  features  finding");
  for (const { target, runs, coverage, features, finding } of reports) {
    const cells = [
      target.padEnd(12),
      String(runs).padEnd(10),
      String(coverage).padEnd(8),
      String(features).padEnd(8),
    ];
    console.log(`${cells.join("  ")}  ${finding?.message ?? "none"}`);
    if (finding !== null) console.log(`  input, base64: ${finding.input}\n  kept in ${finding.file}`);
  }
}
process.exitCode = found.length > 0 ? 1 : 0;
