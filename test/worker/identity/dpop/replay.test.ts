import { describe, expect, it } from "vitest";
import { BoundedReplayMemory, replayEntry } from "../../../../src/identity/dpop/replay.ts";
import { PROOF_WINDOW_SECONDS } from "../../../../src/identity/dpop/verify.ts";

const proof = { thumbprint: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", jti: "one", iat: 1_000 };

function memoryAt(start: number, capacity = 10) {
  const time = { now: start };
  return { time, memory: new BoundedReplayMemory({ capacity, clock: () => time.now }) };
}

describe("a replay memory", () => {
  it("attack 58: lets a proof in once, as long as it could be accepted anywhere", () => {
    const { time, memory } = memoryAt(1_000_000);
    const { key, expiresAt } = replayEntry(proof);
    expect(expiresAt).toBe((proof.iat + 2 * PROOF_WINDOW_SECONDS) * 1_000);
    expect(memory.first(key, expiresAt)).toBe(true);
    for (; time.now < (proof.iat + 2 * PROOF_WINDOW_SECONDS) * 1_000; time.now += 10_000) {
      expect(memory.first(key, expiresAt)).toBe(false);
    }
  });

  it("attack 58: takes the same jti of another key, and another jti of the same key, for other proofs", () => {
    const entries = [
      proof,
      { ...proof, jti: "two" },
      { ...proof, thumbprint: "other" },
      { ...proof, thumbprint: `${proof.thumbprint}\none`, jti: "" },
    ].map((one) => replayEntry(one).key);
    expect(new Set(entries).size).toBe(4);
    expect(replayEntry({ ...proof, iat: 1_001 }).key).toBe(replayEntry(proof).key);
    expect(replayEntry({ ...proof, jti: "x".repeat(128) }).key).toHaveLength(22);
  });

  it("attack 58: that is full lets nothing in rather than forgetting what could come again", () => {
    const { time, memory } = memoryAt(0, 3);
    for (const key of ["a", "b", "c"]) expect(memory.first(key, 1_000)).toBe(true);
    expect(memory.first("d", 1_000)).toBe(false);
    expect(memory.first("a", 1_000)).toBe(false);
    time.now = 1_000;
    expect(memory.first("d", 2_000)).toBe(true);
    expect(memory.entries()).toEqual([["d", 2_000]]);
  });

  it("attack 58: goes on where another left off", () => {
    const { time, memory } = memoryAt(0);
    memory.first("a", 1_000);
    memory.first("b", 3_000);
    time.now = 2_000;
    const next = new BoundedReplayMemory({ capacity: 10, clock: () => time.now, entries: memory.entries() });
    expect(next.first("b", 3_000)).toBe(false);
    expect(next.first("c", 3_000)).toBe(true);
  });
});
