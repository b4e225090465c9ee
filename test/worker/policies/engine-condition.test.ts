import { describe, expect, test } from "vitest";
import { Activation, compileCondition, type ConditionResult } from "../../../src/policies/condition.ts";
import type { BodyView, Parameters } from "../../../src/policies/request-view.ts";
import type { PolicyFacts, PolicySubject } from "../../../src/policies/verdict.ts";
import { askedFacts, callFacts, json } from "./engine-facts.ts";

function compiled(text: string, subject: PolicySubject = "calls") {
  const compilation = compileCondition(text, subject);
  if (compilation.kind === "faults") throw new Error(`${text}: ${JSON.stringify(compilation.faults)}`);
  return compilation.condition;
}

function faults(text: string, subject: PolicySubject = "calls") {
  const compilation = compileCondition(text, subject);
  return compilation.kind === "faults" ? compilation.faults : [];
}

function answer(text: string, facts: PolicyFacts = callFacts()): ConditionResult {
  return compiled(text, facts.subject).evaluate(new Activation(facts));
}

const value = (of: boolean) => ({ kind: "value", value: of });
const error = (text: string) => ({ kind: "error", error: expect.stringContaining(text) });

describe("a condition looks at", () => {
  test.each([
    [
      'request.method == "POST" && request.body.amount > 10000 && request.path.startsWith("/v1/refunds")',
      true,
    ],
    ["request.body.amount == 20000 && request.body.amount in [1, 20000]", true],
    ['request.body.customer == "cus_2"', false],
    ["request.body.items.exists(item, item.price > 1)", true],
    ["request.body.items.all(item, item.price > 1)", false],
    ["request.body.items.map(item, item.price) == [1, 2]", true],
    ["request.body.items.filter(item, item.price > 1).size() == 1", true],
    ["has(request.body.customer) && !has(request.body.metadata)", true],
    ['request.host == "api.stripe.com" && request.size < 1000', true],
    ['request.query.limit == "10" && "b" in request.query["expand[]"]', true],
    ['request.headers["x-team"] == "billing" && !("x-other" in request.headers)', true],
    ['agent.name == "refund-bot" && agent.trust_tier == "trusted"', true],
    ['agent.id == "agt_000000000000000000000001"', true],
    ['token.scopes.exists(scope, scope == "connections:call:stripe-*")', true],
    ['token.tool == "refund" && token.context.ticket == "T-1" && !has(token.user)', true],
    ['time - token.issued_at > duration("1h") && token.expires_at > time', true],
    ['connection.slug == "stripe-live" && connection.provider == "stripe"', true],
    ['secret.tier == "critical"', true],
    ['ip.inRange("10.0.0.0/8") && !ip.inRange("192.168.0.0/16") && !ip.inRange("2001:db8::/32")', true],
    ["time.getHours() == 12 && time.getDayOfWeek() == 0 && time.getFullYear() == 2026", true],
    ['time.getHours("America/New_York") == 7 && time.getHours("Asia/Kolkata") == 17', true],
    ['time.getHours("+05:30") == 17 && time.getMinutes("-00:30") == 30', true],
    ['request.path.matches("^/v1/(refunds|payouts)$") && request.path.matches("fund")', true],
    ['request.body.customer.upperAscii() == "CUS_1" && "\\u212Aelvin".lowerAscii() != "kelvin"', true],
    ["type(request.body.amount) == double && int(request.body.amount) == 20000", true],
  ])("%s", (text, expected) => {
    expect(answer(text)).toEqual(value(expected));
  });

  test("forms, whose values are text until it says otherwise", () => {
    const form = (given: Parameters): BodyView => ({ kind: "form", value: given });
    const facts = callFacts({ body: form({ amount: "20000", "metadata[order]": "7" }) });
    expect(answer('request.body.amount == "20000"', facts)).toEqual(value(true));
    expect(answer("double(request.body.amount) > 10000.0", facts)).toEqual(value(true));
    expect(answer('request.body["metadata[order]"] == "7"', facts)).toEqual(value(true));
    expect(answer("request.body.amount > 10000", facts)).toEqual(error("no such overload"));
  });

  test("what was asked for, where the policy is on tokens or permissions", () => {
    const facts = askedFacts({ ttl_seconds: 7200, scopes: ["secrets:read:production/*"] });
    expect(answer("asked.ttl_seconds > 3600", facts)).toEqual(value(true));
    expect(answer('asked.scopes.exists(scope, scope.startsWith("secrets:read"))', facts)).toEqual(
      value(true),
    );
    expect(answer("asked.reason == 'x'", facts)).toEqual(error("No such key: reason"));
  });
});

describe("when it is saved, a condition is refused with the place", () => {
  test.each([
    ["request.methd == 'POST'", "has no field", 1, 9],
    ["true &&\n  request.body.amount > >", "Unexpected token", 2, 25],
    ["has(request.bdy.amount)", 'no field "bdy"', 1, 13],
    ["agent.tier == 'x'", 'no field "tier"', 1, 7],
    ["user == 'x'", 'There is no "user"', 1, 1],
    ["asked.ttl == 1", "only there in policies on tokens and permissions", 1, 1],
    ["request.size > 'big'", "no such overload: int > string", 1, 1],
    ["request.path", "true or false", 1, 1],
    ["size(request.path)", "true or false; this is int", 1, 1],
    ["request == request", "Say which part", 1, 1],
    ["request['body'].x == 1", "Say which part", 1, 1],
    ["[1].exists(request, true)", "has a meaning already", 1, 12],
    ["[1].exists(a, [1].exists(a, true))", "has a meaning already", 1, 26],
    ["[1].all(a, [1].all(b, [1].all(c, true)))", "at most 2 deep", 1, 23],
    ["request.path.matches('(')", "no pattern", 1, 22],
    ["request.path.matches('(?=x)')", "no lookaround", 1, 22],
    ["request.path.matches('(a{100}){100}')", "pattern", 1, 22],
    ["request.path.matches(request.host)", "a literal text", 1, 22],
    ["request.path.matches(request.body.pattern)", "a literal text", 1, 22],
    ["ip.inRange('10.0.0.1/8')", 'did you mean "10.0.0.0/8"', 1, 12],
    ["ip.inRange('0.0.0.0/0')", "must not be /0", 1, 12],
    ["time.getHours('Mars/Olympus') == 1", 'no time zone "Mars/Olympus"', 1, 15],
    ["time - time > duration(request.path)", "a literal text", 1, 24],
    ["request.body.split('/') == []", 'no method "split"', 1, 1],
    ["eval('1')", 'no function "eval"', 1, 1],
    ["cel.bind(x, 1, x == 1)", 'no method "bind"', 1, 1],
    ["1u == 1u", "no unsigned numbers", 1, 1],
    ["b'a' == b'a'", "no bytes", 1, 1],
    ["{1: 2}.size() == 1", "A key is a literal text", 1, 2],
    ["", "Unexpected token", 1, 1],
  ])("%s", (text, message, line, column) => {
    expect(faults(text)[0]).toEqual({ message: expect.stringContaining(message), line, column });
  });

  test("every wrong name is told, not just the first", () => {
    expect(faults("request.a == 1 || request.b == 2 || c").map(({ column }) => column)).toEqual([9, 27, 37]);
  });

  test("a request is not there where none was made", () => {
    expect(faults("request.method == 'POST'", "tokens")[0]?.message).toContain(
      "only there in policies on calls",
    );
  });
});

describe("what is not there is an error, so that it fails closed", () => {
  test.each([
    ["agent.name == 'x'", { agent: { ...callFacts().agent, name: null } }, "name"],
    ["agent.trust_tier != 'untrusted'", { agent: { ...callFacts().agent, trustTier: null } }, "trust_tier"],
    ["secret.tier != 'critical'", { tier: null }, "tier"],
    ["!ip.inRange('10.0.0.0/8')", { ip: null }, "ip"],
    ["connection.provider != 'x'", { connection: { slug: "a", provider: null } }, "provider"],
  ] as const)("%s", (text, given, name) => {
    expect(answer(text, callFacts({}, given))).toEqual(error(name));
  });

  test("a body that could not be read, or was not; one that is not there is null", () => {
    const unreadable: BodyView = { kind: "unreadable", why: "of no type that is read here" };
    for (const body of [unreadable, { kind: "unread" } as const])
      for (const text of ["request.body.amount > 1", "request.body == null", "!has(request.body.amount)"])
        expect(answer(text, callFacts({ body }))).toEqual(error("body"));
    const none = callFacts({ body: { kind: "none" } });
    expect(answer("request.body == null && !has(request.body.amount)", none)).toEqual(value(true));
    expect(answer("request.body.amount > 1", none)).toEqual(error("amount"));
  });

  test("a field that is missing, of another type, or no boolean", () => {
    expect(answer("request.body.amonut > 1")).toEqual(error("No such key: amonut"));
    expect(answer("request.body.customer > 1")).toEqual(error("no such overload"));
    expect(answer("request.body.customer")).toEqual(error("neither true nor false"));
    expect(answer("request.body.customer.inRange('10.0.0.0/8')")).toEqual(error("no address"));
    expect(answer("int(request.body.amount * 1e300) > 1")).toEqual(error("too large"));
    expect(answer("request.size > 1", callFacts({ size: null }))).toEqual(error("size"));
  });

  test("names that every JavaScript object has are no fields of a body", () => {
    for (const name of ["constructor", "toString", "hasOwnProperty"])
      expect(answer(`request.body.${name} == null`)).toEqual(error("No such key"));
    expect(answer('request.body["__proto__"] == null')).toEqual(error("No such key"));
    const own = callFacts({ body: json(JSON.parse('{"constructor": 1, "amount": 5}')) });
    expect(answer("request.body.amount > 1", own)).toMatchObject({ kind: "error" });
    expect(answer('!("constructor" in request.query)')).toEqual(value(true));
    const query = callFacts({ query: { constructor: "x", limit: "1" } });
    expect(answer('request.query.constructor == "x" && request.query.limit == "1"', query)).toEqual(
      value(true),
    );
  });
});

test("an error does not count where the other side of && or || has decided, as in CEL", () => {
  expect(answer("request.body.nothing > 1 && request.method == 'GET'")).toEqual(value(false));
  expect(answer("request.body.nothing > 1 || request.method == 'POST'")).toEqual(value(true));
  expect(answer("request.body.nothing > 1 || request.method == 'GET'")).toEqual(error("nothing"));
});

test("it says which parts of a call it looks into, wherever it does", () => {
  const reads = (text: string) => compiled(text).reads;
  const nothing = { body: false, query: false, headers: false, agent: false };
  expect(reads("request.method == 'POST' && agent.id != ''")).toEqual(nothing);
  expect(reads("has(request.body.a)")).toEqual({ ...nothing, body: true });
  expect(reads("[1].exists(x, [request.body].size() == x)")).toEqual({ ...nothing, body: true });
  expect(reads("{'a': request.query}.size() == 1")).toEqual({ ...nothing, query: true });
  expect(reads("true ? true : 'x' in request.headers")).toEqual({ ...nothing, headers: true });
  expect(reads("agent.trust_tier == 'trusted'")).toEqual({ ...nothing, agent: true });
});

test("zones are right on both sides of a change to summer time", () => {
  for (const [instant, hour] of [
    ["2026-03-29T00:59:59Z", 1],
    ["2026-03-29T01:00:00Z", 3],
    ["2026-10-25T00:59:59Z", 2],
    ["2026-10-25T01:00:00Z", 2],
    ["2026-10-25T02:00:00Z", 3],
  ] as const) {
    const facts = callFacts({}, { now: Date.parse(instant) });
    expect(answer(`time.getHours("Europe/Berlin") == ${hour}`, facts)).toEqual(value(true));
  }
});
