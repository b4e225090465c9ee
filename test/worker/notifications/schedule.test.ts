import { describe, expect, test } from "vitest";
import { concerns, isEventPattern } from "../../../src/notifications/notice.ts";
import { MAX_ATTEMPTS, pauseMs, retryAfterSeconds } from "../../../src/notifications/schedule.ts";
import { messageId } from "../../../src/notifications/signing.ts";

describe("tries", () => {
  test("come after 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h, and a fifth more at most", () => {
    const pauses = Array.from({ length: MAX_ATTEMPTS }, (_, n) => pauseMs(n + 1, null, 0));
    expect(pauses).toEqual(
      [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
        .map((seconds) => seconds * 1_000)
        .concat([null!]),
    );
    expect(pauseMs(2, null, 1)).toBe(360_000);
  });

  test("wait as long as a receiver asks, a day at most, and never shorter than they would have", () => {
    expect(pauseMs(1, 60, 0)).toBe(60_000);
    expect(pauseMs(2, 60, 0)).toBe(300_000);
    expect(pauseMs(1, 10_000_000, 0)).toBe(86_400_000);
    expect(pauseMs(MAX_ATTEMPTS, 60, 0)).toBeNull();
  });

  test("read Retry-After as seconds or a date", () => {
    const now = Date.parse("2026-01-01T00:00:00Z");
    expect(retryAfterSeconds("120", now)).toBe(120);
    expect(retryAfterSeconds("Thu, 01 Jan 2026 00:01:00 GMT", now)).toBe(60);
    expect(retryAfterSeconds("Wed, 31 Dec 2025 00:00:00 GMT", now)).toBe(0);
    for (const nothing of [null, "soon", "-5", "1e9", "99999999999999999999"])
      expect(retryAfterSeconds(nothing, now)).toBeNull();
  });
});

describe("what a receiver is told of", () => {
  test("is a pattern of a family that there is", () => {
    for (const good of ["*", "approval.*", "approval.timed_out", "budget.exceeded"])
      expect(isEventPattern(good)).toBe(true);
    for (const bad of [
      "",
      "approval",
      "approvals.*",
      "approval.",
      "appr*",
      "**",
      "approval.*.x",
      "secret.read",
      "approval.Req",
    ])
      expect(isEventPattern(bad)).toBe(false);
  });

  test("goes by whole types, and by the agent it is for", () => {
    const told = (events: string[], type: string, agentId: string | null = null, data = {}) =>
      concerns({ events, agentId }, { type, data });
    expect(told(["approval.*"], "approval.requested")).toBe(true);
    expect(told(["approval.*"], "approvals.requested")).toBe(false);
    expect(told(["approval.req"], "approval.requested")).toBe(false);
    expect(told(["*"], "budget.exceeded")).toBe(true);
    expect(told(["*"], "approval.requested", "agt_1", { agent_id: "agt_1" })).toBe(true);
    expect(told(["*"], "approval.requested", "agt_1", { agent_id: "agt_2" })).toBe(false);
    expect(told(["*"], "approval.requested", "agt_1")).toBe(false);
  });
});

test("a message's id has none of the dots that part what is signed", () => {
  expect(messageId("tok_1.22")).toBe("tok_1_22");
  expect(messageId("evt_abc")).toBe("evt_abc");
});
