import { describe, expect, it } from "vitest";
import { Problem } from "../../../src/base/problem.ts";
import { preferencesOf } from "../../../src/gateway/prefer.ts";

function read(value: string) {
  return preferencesOf([
    ["accept", "*/*"],
    ["x-valetkey-prefer", value],
  ]);
}

describe("X-Valetkey-Prefer", () => {
  it.each([
    ["wait=30", 30, false],
    ["respond-async", null, true],
    ["respond-async, wait=10", 10, true],
    ["Wait=5 ; x=1, RESPOND-ASYNC", 5, true],
    [' wait = "60" ', 60, false],
    ["wait=0", 0, false],
    ["", null, false],
    [" , ,wait=1, ", 1, false],
    ['return=minimal; a; b="c;d,e\\"f", priority=5', null, false],
    ['unknown="wait=20, respond-async"', null, false],
    ["respond-async=maybe", null, true],
    // RFC 7240 §2: only the first of several counts.
    ["wait=1, wait=2", 1, false],
  ])("%j is read as RFC 7240 has it", (text, waitSeconds, respondAsync) => {
    expect(read(text)).toEqual({ waitSeconds, respondAsync });
  });

  it("not there, it asks for nothing; the provider's own Prefer is none of it", () => {
    expect(preferencesOf([["prefer", "wait=30, respond-async"]])).toEqual({
      waitSeconds: null,
      respondAsync: false,
    });
  });

  it.each([
    ...["wait", "wait=", "wait=61", "wait=-1", "wait=1.5", "wait=ten", "wait=0x1", "wait=030", "wait=1e1"],
    ...['wait="30', "wait=1 2", "a b", "=1", "respond-async; wait=3 x", "wait=3\u0000", "ä=1", '"wait"=3'],
    "a=1,".repeat(300),
  ])("%j is a refusal that shows what works", (text) => {
    const thrown = ((): unknown => {
      try {
        return read(text);
      } catch (error) {
        return error;
      }
    })();
    expect(thrown).toBeInstanceOf(Problem);
    expect(thrown).toMatchObject({ code: "VALIDATION_ERROR" });
    expect((thrown as Problem).options.why).toContain("wait=30");
  });
});
