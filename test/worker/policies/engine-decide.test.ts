import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { matchesGlob } from "../../../src/base/glob.ts";
import type { Policy } from "../../../src/policies/policy.ts";
import { policySetOf } from "../../../src/policies/set.ts";
import { POLICY_EFFECTS, type PolicyFacts, type PolicyVerdict } from "../../../src/policies/verdict.ts";
import { askedFacts, callFacts, json, policy } from "./engine-facts.ts";

const decided = (policies: readonly Policy[], facts: PolicyFacts = callFacts()) =>
  policySetOf(policies).decide(facts);

const ref = ({ id, name, version, message }: Policy) => ({ id, name, version, message });
const FAILS = "request.body.missing > 1";
const [deny, approve, allow] = [
  policy({ effect: "deny", message: "Never." }),
  policy({ effect: "require_approval", approvals: 2, delaySeconds: 60 }),
  policy({ effect: "allow" }),
];

describe("which policy wins", () => {
  test("an explicit deny, whatever else matches and in whatever order", () => {
    for (const policies of [
      [deny, approve, allow],
      [allow, approve, deny],
    ])
      expect(decided(policies)).toEqual({ kind: "deny", policy: ref(deny), cause: "matched" });
  });

  test("then require_approval, then allow, then nothing", () => {
    expect(decided([allow, approve])).toMatchObject({ kind: "require_approval", policies: [ref(approve)] });
    expect(decided([allow])).toEqual({ kind: "allow", policy: ref(allow) });
    expect(decided([])).toEqual({ kind: "none" });
    expect(decided([policy({ condition: "request.method == 'GET'" })])).toEqual({ kind: "none" });
  });

  test("of several that require approval, the most people and the longest delay", () => {
    const other = policy({ effect: "require_approval", approvals: 1, delaySeconds: 300 });
    expect(decided([other, approve])).toEqual({
      kind: "require_approval",
      policies: [ref(approve), ref(other)],
      approvals: 2,
      delaySeconds: 300,
    });
  });

  test("one that matched is told before one that could not be evaluated", () => {
    const failing = policy({ condition: FAILS });
    const matching = policy({ condition: "request.body.amount > 1" });
    expect(decided([failing, matching])).toEqual({ kind: "deny", policy: ref(matching), cause: "matched" });
  });
});

describe("a policy that cannot be evaluated fails closed", () => {
  const bodies = [
    ["a missing field", json({})],
    ["another type", json({ missing: "x" })],
    ["an unreadable body", { kind: "unreadable", why: "of no type that is read here" }],
    ["a body that was not read", { kind: "unread" }],
  ] as const;

  test.each(bodies)("%s: a deny policy denies", (_, body) => {
    const denying = policy({ condition: FAILS });
    expect(decided([denying, allow], callFacts({ body }))).toEqual({
      kind: "deny",
      policy: ref(denying),
      cause: "error",
    });
  });

  test.each(bodies)("%s: a require_approval policy requires it", (_, body) => {
    const asking = policy({ effect: "require_approval", condition: FAILS, approvals: 3 });
    expect(decided([asking, allow], callFacts({ body }))).toMatchObject({
      kind: "require_approval",
      approvals: 3,
    });
  });

  test.each(bodies)("%s: an allow policy does not match", (_, body) => {
    const allowing = policy({ effect: "allow", condition: FAILS });
    expect(decided([allowing], callFacts({ body }))).toEqual({ kind: "none" });
  });

  test("a stored condition that is none any more", () => {
    const broken = { condition: "request.gone == 1" };
    expect(decided([policy(broken), allow])).toMatchObject({ kind: "deny", cause: "error" });
    expect(decided([policy({ ...broken, effect: "require_approval" }), allow])).toMatchObject({
      kind: "require_approval",
    });
    expect(decided([policy({ ...broken, effect: "allow" })])).toEqual({ kind: "none" });
  });
});

describe("which policies are asked", () => {
  test("those whose globs match the connection, or that name none", () => {
    const named = policy({ connections: ["github", "stripe-*"] });
    const set = policySetOf([named]);
    expect(set.decide(callFacts())).toMatchObject({ kind: "deny" });
    const other = callFacts({}, { connection: { slug: "stripe", provider: null } });
    expect(set.decide(other)).toEqual({ kind: "none" });
    expect(set.readsOf("stripe")).toBeNull();
    expect(set.readsOf("stripe-test")).toEqual({ body: false, query: false });
  });

  test("those on the subject, and that are enabled", () => {
    expect(decided([policy({ enabled: false }), policy({ on: "tokens" })])).toEqual({ kind: "none" });
    const onTokens = policy({ on: "tokens", condition: "asked.ttl_seconds > 3600" });
    expect(decided([onTokens, policy()], askedFacts({ ttl_seconds: 7200 }))).toMatchObject({ kind: "deny" });
    expect(decided([onTokens, policy()], askedFacts({ ttl_seconds: 60 }))).toEqual({ kind: "none" });
  });

  test("what they read is told for a connection at a time", () => {
    const set = policySetOf([
      policy({ connections: ["a-*"], condition: "request.body.x == 1" }),
      policy({ connections: ["*-q"], condition: "'x' in request.query" }),
      policy({ connections: ["n"], condition: "agent.name == 'x'" }),
    ]);
    expect(set.readsOf("a-1")).toEqual({ body: true, query: false });
    expect(set.readsOf("a-q")).toEqual({ body: true, query: true });
    expect(set.readsOf("b-q")).toEqual({ body: false, query: true });
    expect(set.readsOf("n")).toEqual({ body: false, query: false });
    expect(set.readsOf("c")).toBeNull();
    expect(set.readsAgents).toBe(true);
    expect(policySetOf([policy({ condition: "agent.id == 'x'" })]).readsAgents).toBe(false);
  });
});

/** What the words of the design say, straightforwardly. */
function model(
  policies: readonly Policy[],
  facts: PolicyFacts,
  answers: ReadonlyMap<string, Answer>,
): PolicyVerdict {
  const asked = policies
    .filter(({ enabled, on }) => enabled && on === "calls")
    .filter(
      ({ connections }) =>
        connections.length === 0 ||
        connections.some((glob) => matchesGlob(glob, facts.connection?.slug ?? "")),
    )
    .toSorted((one, other) => one.id.localeCompare(other.id));
  const answer = ({ condition }: Policy) => (condition === null ? "yes" : answers.get(condition));
  const of = (effect: Policy["effect"], ...counted: readonly Answer[]) =>
    asked.filter((one) => one.effect === effect && counted.includes(answer(one) ?? "error"));
  const [denying] = of("deny", "yes");
  if (denying !== undefined) return { kind: "deny", policy: ref(denying), cause: "matched" };
  const [failing] = of("deny", "error");
  if (failing !== undefined) return { kind: "deny", policy: ref(failing), cause: "error" };
  const asking = of("require_approval", "yes", "error");
  if (asking.length > 0)
    return {
      kind: "require_approval",
      policies: asking.map(ref),
      approvals: Math.max(...asking.map(({ approvals }) => approvals)),
      delaySeconds: Math.max(...asking.map(({ delaySeconds }) => delaySeconds)),
    };
  const [allowing] = of("allow", "yes");
  return allowing === undefined ? { kind: "none" } : { kind: "allow", policy: ref(allowing) };
}

type Answer = "yes" | "no" | "error";

/** By what they come out as on the facts of `callFacts()`. */
const CONDITIONS: ReadonlyMap<string, Answer> = new Map([
  ["request.body.amount > 10000", "yes"],
  ["request.body.amount > 30000", "no"],
  [FAILS, "error"],
  ["request.body.customer", "error"],
  ["request.gone == 1", "error"],
  [`${FAILS} || true`, "yes"],
  [`${FAILS} && false`, "no"],
]);

test("any set of policies decides as the model does", () => {
  const policies = fc.array(
    fc.record({
      effect: fc.constantFrom(...POLICY_EFFECTS),
      on: fc.constantFrom("calls", "calls", "calls", "tokens"),
      connections: fc.subarray(["stripe-*", "*-live", "github", "*"]),
      condition: fc.constantFrom(null, ...CONDITIONS.keys()),
      approvals: fc.integer({ min: 1, max: 5 }),
      delaySeconds: fc.integer({ min: 0, max: 600 }),
      enabled: fc.boolean(),
    }),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(policies, fc.constantFrom("stripe-live", "stripe-test", "github", "x"), (given, slug) => {
      const made = given.map((one) => policy(one));
      const facts = callFacts({}, { connection: { slug, provider: null } });
      expect(decided(made.toReversed(), facts)).toEqual(model(made, facts, CONDITIONS));
    }),
    { numRuns: 1_000 },
  );
});
