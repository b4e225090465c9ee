import { describe, expect, it } from "vitest";
import { Problem } from "../../../src/base/problem.ts";
import { readStrictBody } from "../../../src/gateway/strict-body.ts";
import { parseBinding } from "../../../src/permissions/binding.ts";
import { CallFields } from "../../../src/permissions/read-field.ts";
import type { BodyView } from "../../../src/policies/request-view.ts";

const JSON_TYPE = new Headers({ "content-type": "application/json" });

function bodyOf(text: string): BodyView {
  return readStrictBody(Buffer.from(text), JSON_TYPE);
}

/** What a permission, or a price, reads in a field; the code where the body is refused. */
function fieldOf(text: string, field = "body.amount"): unknown {
  const binding = parseBinding(field);
  if (binding === null) throw new Error("no field");
  let body: BodyView;
  try {
    body = bodyOf(text);
  } catch (error) {
    if (error instanceof Problem) return error.code;
    throw error;
  }
  const view = { method: "POST", path: "/", host: "up", query: {}, headers: {}, size: null, body };
  const read = new CallFields(view, {}).read(binding);
  return read.kind === "values" ? read.values : read.kind;
}

describe("attack 29: a number in JSON that is counted", () => {
  it.each([
    ["0", 0],
    ["100", 100],
    ["100.0", 100],
    ["0.10", 0.1],
    ["-0", 0],
    ["-0.0", 0],
    ["9007199254740991", 9_007_199_254_740_991],
  ])("%s is %d to everybody", (literal, value) => {
    expect(fieldOf(`{"amount":${literal}}`)).toEqual([value]);
  });

  it.each(["1e2", "1E+2", "1.0e2", "0e5", "-1e2", "1e-05", "2.5E-4", "-1e-7"])(
    "%s is read where conditions look at it, and never counted: digits alone say something else",
    (literal) => {
      expect(bodyOf(`{"amount":${literal}}`)).toMatchObject({ value: { amount: Number(literal) } });
      expect(fieldOf(`{"amount":${literal}}`)).toBe("bad");
      expect(fieldOf(`{"items":[{"n":1},{"n":${literal}}]}`, "body.items[].n")).toBe("bad");
    },
  );

  it.each([
    "1E400",
    "-1e-400",
    "9007199254740992",
    "0.30000000000000001",
    "1e-2",
    "10000e-2",
    "5000e-7",
    "0.5e-4",
    "0e-1",
    "+1",
    "01",
    "1.",
    ".5",
    "0x1",
    "NaN",
  ])("%s is refused: not every parser reads it, or keeps it", (literal) => {
    expect(fieldOf(`{"amount":${literal}}`)).toBe("BODY_AMBIGUOUS");
  });

  it("is none of those with an exponent that stand elsewhere, as far as they can be told apart", () => {
    expect(fieldOf('{"amount":100,"vector":[1e-05,2.5E7]}')).toEqual([100]);
    expect(fieldOf('{"amount":"1e2","vector":[1e2]}')).toEqual(["1e2"]);
    const many = Array.from({ length: 2_000 }, (_, n) => `${n}e3`).join();
    expect(fieldOf(`{"amount":100,"vector":[${many}]}`)).toBe("bad");
    expect(fieldOf(`{"name":"x","vector":[${many}]}`, "body.name")).toEqual(["x"]);
  });
});
