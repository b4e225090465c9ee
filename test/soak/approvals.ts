import { parseArgs } from "node:util";
import { interleave, type Tally } from "../support/approval-interleavings.ts";
import { deskOnNode, realTime } from "../support/desk-on-node.ts";

/**
 * `node test/soak/approvals.ts`: 10,000 random interleavings of request, approve, deny, cancel, expire, demote, claim,
 * clock jumps and restarts, each held against a model. `--runs`, `--seed` change it.
 */
const { values } = parseArgs({
  options: { runs: { type: "string", default: "10000" }, seed: { type: "string" } },
});
const runs = Number(values.runs);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
/** Runs that share a desk, each with an agent of its own. */
const RUNS_OF_A_DESK = 25;

console.log(`approvals: ${runs} interleavings, seeds from ${seed}`);
const startedAt = Date.now();
const tally: Tally = { asked: 0, votes: 0, used: 0, refused: 0 };
let world = deskOnNode();
for (let run = 0; run < runs; run++) {
  if (run % RUNS_OF_A_DESK === 0) world = deskOnNode();
  await interleave(seed + run, world, startedAt, tally);
  if ((run + 1) % 1_000 === 0) console.log(`  ${run + 1} of ${runs}`);
}
realTime();
const seconds = Math.round((Date.now() - startedAt) / 1_000);
console.log(JSON.stringify({ runs, seed, ...tally, seconds }));
console.log("holds: nothing used without its quorum, before its delay, or twice");
