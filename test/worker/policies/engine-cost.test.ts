import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Activation, compileCondition } from "../../../src/policies/condition.ts";
import { MAX_STEPS } from "../../../src/policies/cost.ts";
import { linearPattern } from "../../../src/policies/regex.ts";
import { policySetOf } from "../../../src/policies/set.ts";
import { callFacts, json, policy } from "./engine-facts.ts";

const MEBIBYTE = 1_048_576;
const numbers = (count: number) => Array.from({ length: count }, (_, at) => at);
const objects = (count: number) => numbers(count).map((at) => ({ at }));
const text = (length: number) => "a".repeat(length);

/** What came of it, and the steps it took. */
function run(condition: string, body: unknown) {
  const compilation = compileCondition(condition, "calls");
  if (compilation.kind === "faults") throw new Error(JSON.stringify(compilation.faults));
  const activation = new Activation(callFacts({ body: json(body) }));
  const result = compilation.condition.evaluate(activation);
  return { result, steps: MAX_STEPS - activation.meter.left };
}

const PATTERNS = ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*)*x", "([a-zA-Z]+)*[0-9]", "^(a?){50}a{50}$"];

const TOO_COSTLY = { kind: "error", error: expect.stringContaining("too many steps") };

describe("attack 88: a body within its bound cannot make a condition take more steps than a decision has", () => {
  test.each([
    ["long loops", "request.body.all(i, i >= 0)", numbers(150_000)],
    ["loops in loops", "request.body.all(i, request.body.all(j, i + j >= 0.0))", numbers(1_000)],
    ["loops after loops", "request.body.filter(i, i > 3).map(j, j + 1.0).all(k, k > 0)", numbers(100_000)],
    ["errors that a loop catches", "request.body.exists(i, i.missing == 1)", objects(60_000)],
    ["errors that logic catches", "request.body.exists(i, i.a || i.b.c.d)", objects(30_000)],
    ["errors of names", "request.body.exists(i, token.user == 'x')", objects(60_000)],
    ["errors of conditions", "request.body.exists(i, i.at ? true : false)", objects(60_000)],
    [
      "lists compared in a loop",
      "request.body.a.all(i, request.body.a == request.body.b)",
      { a: objects(600), b: objects(600) },
    ],
    ["membership in a loop", "request.body.all(i, !(string(i) in request.body))", numbers(2_000)],
    [
      "maps compared in a loop",
      "request.body.a.all(i, request.body.m != i)",
      { a: numbers(100), m: Object.fromEntries(numbers(20_000).map((at) => [`k${at}`, 1])) },
    ],
    [
      "texts searched again and again",
      Array.from({ length: 30 }, () => '!request.body.contains("aab")').join(" && "),
      text(MEBIBYTE),
    ],
    [
      "texts that grow",
      `(${Array.from({ length: 30 }, () => "request.body").join(" + ")}).contains("b")`,
      text(MEBIBYTE),
    ],
    ["a long text against a pattern", 'request.body.matches("(a+)+$")', text(MEBIBYTE)],
    ["a pattern of many states", 'request.body.matches("(a|b)*a(a|b){200}c")', text(30_000)],
    [
      "keys of a large object",
      "request.body.all(k, request.body[k] == 1 && k != 'x' && k != 'y')",
      Object.fromEntries(numbers(80_000).map((at) => [at, 1])),
    ],
    [
      "addresses in a loop",
      "request.body.all(i, i.inRange('10.0.0.0/8'))",
      numbers(9_000).map((at) => `10.0.${at >> 8}.${at % 256}`),
    ],
    [
      "zones in a loop",
      'request.body.all(i, timestamp(i).getHours("Europe/Berlin") >= 0)',
      numbers(9_000).map((at) => new Date(at * 86_400_000).toISOString()),
    ],
    ["an error swallowed afterwards", "request.body.all(i, i >= 0) || true", numbers(500_000)],
    ["an error swallowed before", "true || request.body.all(i, i >= 0) || request.path == ''", null],
  ])("%s", (_, condition, body) => {
    const { result, steps } = run(condition, body);
    if (body === null) expect(result).toEqual({ kind: "value", value: true });
    else expect(result).toEqual(TOO_COSTLY);
    expect(steps).toBeLessThanOrEqual(MAX_STEPS + 1);
  });

  test("patterns that make others backtrack take one look at every character", () => {
    for (const pattern of PATTERNS) {
      const compiled = linearPattern(pattern);
      if (typeof compiled === "string") throw new Error(compiled);
      expect(compiled.test(`${text(50_000)}!`)).toBe(false);
      expect(compiled.size).toBeLessThan(400);
    }
  });

  test("nesting deeper than the stack is an error, not a crash", () => {
    const deep: unknown = JSON.parse("[".repeat(20_000) + "]".repeat(20_000));
    expect(run("request.body == [1]", deep).result).toMatchObject({ kind: "error" });
  });

  test("the steps are the decision's, not the policy's: fifty costly policies cost no more than one", () => {
    const condition = (at: number) => `request.body.all(i, i >= ${at}.0) && request.path == "/${at}"`;
    const costly = numbers(50).map((at) => policy({ effect: "allow", condition: condition(at) }));
    const facts = callFacts({ body: json(numbers(100_000)) });
    const activation = new Activation(facts);
    for (const { condition: of } of costly) {
      const compilation = compileCondition(of ?? "", "calls");
      if (compilation.kind === "condition") compilation.condition.evaluate(activation);
    }
    expect(MAX_STEPS - activation.meter.left).toBeLessThanOrEqual(MAX_STEPS + 1);
    expect(policySetOf(costly).decide(facts)).toEqual({ kind: "none" });
    const denying = costly.slice(0, 3).map((one) => policy({ ...one, id: policy().id, effect: "deny" }));
    expect(policySetOf(denying).decide(facts)).toMatchObject({ kind: "deny", cause: "error" });
  });
});

test("attack 88: a condition itself is bounded when it is saved", () => {
  const refused = (condition: string) => compileCondition(condition, "calls").kind === "faults";
  expect(refused(`request.path == "${text(5_000)}"`)).toBe(true);
  expect(refused(Array.from({ length: 400 }, () => "true").join("||"))).toBe(true);
  expect(refused(`${"(".repeat(300)}true${")".repeat(300)}`)).toBe(true);
  expect(refused("!".repeat(3_001) + "true")).toBe(true);
  expect(refused(`${"[".repeat(300)}${"]".repeat(300)} == []`)).toBe(true);
  expect(refused(`1 in [${Array.from({ length: 201 }, () => "1").join(",")}]`)).toBe(true);
  expect(refused(`request.path.matches("${"(x+x+)+".repeat(80)}")`)).toBe(true);
  expect(refused('request.path.matches("a{1001}")')).toBe(true);
});

test("an ordinary body of an ordinary call is far from the bound", () => {
  const messages = numbers(200).map((at) => ({ role: at % 2 ? "user" : "assistant", content: text(500) }));
  const body = { model: "gpt-5", messages, tools: objects(50) };
  const condition =
    'request.body.model in ["gpt-5", "gpt-5-mini"] && request.body.messages.all(m, m.role != "system" && !m.content.matches("(?i)password")) && size(request.body.messages) < 1000';
  const { result, steps } = run(condition, body);
  expect(result).toEqual({ kind: "value", value: true });
  expect(steps).toBeLessThan(MAX_STEPS / 2);
});

test("whatever a body holds, every condition ends within its steps", () => {
  const conditions = [
    "request.body.exists(i, request.body.exists(j, i == j && i != j))",
    "request.body.a.all(i, i.b > 1 || i.c == request.body)",
    'request.body.filter(i, string(i).matches("^[a-z]*$")).size() > 100',
    "request.body.map(i, [i, i]).map(p, p + p) == request.body",
    'request.body == null || request.body.a.b.startsWith("x") || request.body in [1, 2]',
  ];
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(...conditions), (body, condition) => {
      const { result, steps } = run(condition, body);
      expect(["value", "error"]).toContain(result.kind);
      expect(steps).toBeLessThanOrEqual(MAX_STEPS + 1);
    }),
    { numRuns: 500 },
  );
});
