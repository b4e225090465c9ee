import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { BODY_OVERRIDES, NO_OVERRIDES } from "./paths.ts";
import { makePolicies } from "./policies.ts";
import { codeOf, type Lab, openLab } from "./support.ts";

let lab: Lab;

beforeAll(async () => {
  lab = await openLab(() => ({ closed: { default: "deny" }, asked: {}, sorted: {}, free: {} }));
  await makePolicies(lab, {
    asked: { effect: "require_approval", condition: 'request.method == "DELETE"' },
    closed: { effect: "allow", condition: 'request.query["to"] == "me"' },
    sorted: { effect: "deny", condition: 'request.method == "DELETE"' },
  });
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.upstream.requests.length = 0;
});

async function post(target: string, headers: readonly string[], body: string) {
  return lab.send(target, { method: "POST", headers, body });
}

describe("attack 29: of one name there is one value, where a policy reads it", () => {
  test.each([
    "to=me&to=you",
    "to=you&to=me",
    "to=me&%74o=you",
    "to=me&TO=you",
    "to=me&to[]=you",
    "to=me&to[0]=you",
    "to=me&to%5Bx%5D=you",
    "to=me&+to=you",
    "to=me&%20to=you",
    "to=me&to%00=you",
    "to=me;to=you",
    "to=me&%2574o=you",
    "to=me%00you",
    "to=me&x=%zz",
    "to=me&x=%c0%ae",
    "to=me&a.b=1&a[b]=2",
    "to=me&a.b=1&a_b=2",
    "to=me&a[]=1&a[1]=2",
    "to=me&a[b]]=1",
    `to=me&${Array.from({ length: 1_000 }, (_, n) => `p${n}`).join("&")}`,
  ])("attack 29: query %# goes nowhere", async (query) => {
    const answer = await lab.send(`/proxy/closed/x?${query}`);
    expect([answer.status, codeOf(answer)]).toEqual([400, "BODY_AMBIGUOUS"]);
    expect(lab.upstream.requests).toEqual([]);
  });

  test.each([
    "t%6f=%6De",
    "to=me&a[]=1&a[]=2&b[c]=1&b[d]=2&e=%2B+%20",
    "&to=me&&x=%E2%82%AC%F0%9F%98%80&flag",
  ])("attack 29: %j arrives as it came", async (query) => {
    expect((await lab.send(`/proxy/closed/x?${query}`)).status).toBe(200);
    expect(lab.upstream.last().target).toBe(`/x?${query}`);
  });
});

describe("attack 28: a policy is a rule about methods", () => {
  test.each(BODY_OVERRIDES)("attack 28: %s %j goes nowhere where a policy applies", async (type, body) => {
    const headers = type === null ? [] : [`Content-Type: ${type}`];
    for (const slug of ["asked", "sorted"]) {
      const answer = await post(`/proxy/${slug}/x`, headers, body);
      expect([answer.status, codeOf(answer)]).toEqual([400, "VALIDATION_ERROR"]);
    }
    expect(lab.upstream.requests).toEqual([]);
    expect((await post("/proxy/free/x", headers, body)).status).toBe(200);
  });

  test.each(NO_OVERRIDES)("attack 28: %s %j passes as it came", async (type, body) => {
    const answer = await post("/proxy/sorted/x", type === null ? [] : [`Content-Type: ${type}`], body);
    expect(answer.status, answer.text).toBe(200);
    expect(lab.upstream.last().body.toString()).toBe(body);
  });
});
