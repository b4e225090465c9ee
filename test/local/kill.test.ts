import { expect, test } from "vitest";
import { killRounds } from "../support/kill-rounds.ts";

test("kill -9 under load, 5 rounds: no acknowledged call is missing in the ledger, none is there twice", async () => {
  const report = await killRounds(5, 20_260_101);
  expect(report.acknowledged).toBeGreaterThan(50);
  expect(report).toMatchObject({ lost: 0, doubled: 0, unrecorded: 0 });
  expect(report.called).toBe(report.uses);
}, 90_000);
