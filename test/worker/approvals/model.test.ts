/// <reference types="vite/types/importMeta.d.ts" />
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { newId } from "../../../src/base/ids.ts";
import { type DeskWorld, interleave, type Tally } from "../../support/approval-interleavings.ts";
import { stubOf } from "./fixtures.ts";

const RUNS = Number(import.meta.env["VITE_APPROVAL_RUNS"] ?? 300);
const FIRST_SEED = Number(import.meta.env["VITE_APPROVAL_SEED"] ?? 1);
const STEPS = 20;
/** Runs that share a desk, each with an agent of its own. */
const RUNS_OF_A_DESK = 25;

afterEach(() => void vi.useRealTimers());

function newWorld(): DeskWorld {
  const tenantId = newId("tenant");
  return {
    tenantId,
    desk: () => stubOf(tenantId),
    setTime: (now) => void vi.useFakeTimers({ toFake: ["Date"], now }),
    alarm: async () => void (await runDurableObjectAlarm(stubOf(tenantId))),
    restart: async () => {
      // Only what runs can be ended.
      await stubOf(tenantId).get(newId("approval"));
      await evictDurableObject(stubOf(tenantId));
    },
  };
}

test(
  `attacks 74, 76 to 79: in ${RUNS} random interleavings nothing is used without its quorum, before its delay, or twice`,
  async () => {
    const tally: Tally = { asked: 0, votes: 0, used: 0, refused: 0 };
    const startedAt = Date.now();
    let world = newWorld();
    for (let run = 0; run < RUNS; run++) {
      if (run % RUNS_OF_A_DESK === 0) world = newWorld();
      await interleave(FIRST_SEED + run, world, startedAt, tally, STEPS);
    }
    console.log(JSON.stringify({ runs: RUNS, first_seed: FIRST_SEED, ...tally }));
    // It does happen.
    expect(tally.used).toBeGreaterThan(RUNS / 10);
  },
  RUNS * 1_000,
);
