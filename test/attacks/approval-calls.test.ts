import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Approver, changed, startPeople } from "../support/approver.ts";
import type { RawResponse } from "../support/raw.ts";
import { type CallOptions, codeOf, KINDS, type Lab, openLab } from "./support.ts";

let lab: Lab;
let people: Awaited<ReturnType<typeof startPeople>>;
let ada: Approver;
let policy: { id: string };

beforeAll(async () => {
  lab = await openLab(() => ({ api: {}, other: {} }));
  people = await startPeople(lab.tenant);
  ada = await people.person("admin");
  policy = await changed(lab.tenant.admin, "POST", "/v1/policies", {
    ...{ name: "people approve", effect: "require_approval" },
    condition: 'request.path.startsWith("/pay")',
  });
});
beforeEach(() => {
  lab.upstream.requests.length = 0;
});
afterAll(async () => {
  await people?.stop();
  await lab?.close();
});

const BODY = '{"to":"alice","amount":100}';
const JSON_TYPE = "Content-Type: application/json";

function pay(options: CallOptions = {}, target = "/proxy/api/pay/1?fast=yes"): Promise<RawResponse> {
  return lab.send(target, { method: "POST", headers: [JSON_TYPE], body: BODY, ...options });
}

/** The approval that a refused call waits for. */
function waitsFor(answer: RawResponse): string {
  expect(codeOf(answer)).toBe("APPROVAL_REQUIRED");
  return JSON.parse(answer.text).approval_id;
}

async function approved(): Promise<string> {
  const id = waitsFor(await pay());
  await ada.approve(id);
  return id;
}

/** Uses up what was approved, so that the next test begins with nothing. */
async function goesThroughOnce(): Promise<void> {
  expect((await pay()).status).toBe(200);
  expect(lab.upstream.last().body.toString()).toBe(BODY);
}

describe("attack 75: what was approved is changed by as little as can be", () => {
  const CHANGES: Record<string, [CallOptions, string?]> = {
    "a digit of the body": [{ body: BODY.replace("100", "101") }],
    "a space in the body": [{ body: BODY.replace(",", ", ") }],
    "the body's members in another order": [{ body: '{"amount":100,"to":"alice"}' }],
    "a line end behind the body": [{ body: `${BODY}\r\n` }],
    "the query": [{}, "/proxy/api/pay/1?fast=yes&more=yes"],
    "the query's spelling": [{}, "/proxy/api/pay/1?fast=%79es"],
    "no query": [{}, "/proxy/api/pay/1"],
    "the path": [{}, "/proxy/api/pay/2?fast=yes"],
    "a slash behind the path": [{}, "/proxy/api/pay/1/?fast=yes"],
    "the method": [{ method: "PUT" }],
    "another connection": [{}, "/proxy/other/pay/1?fast=yes"],
    "a header that was not there": [{ headers: [JSON_TYPE, "X-Dry-Run: no"] }],
    "a header that the approver saw": [{ headers: ["Content-Type: application/json; charset=utf-8"] }],
    "a header sent twice": [{ headers: [JSON_TYPE, "X-To: a", "X-To: b"] }],
  };

  test("attack 75: each is another call, which waits for its own approval, and nothing leaves", async () => {
    const id = await approved();
    const ids = new Set([id]);
    for (const [what, [options, target]] of Object.entries(CHANGES)) {
      const other = waitsFor(await pay(options, target));
      expect(ids.has(other), what).toBe(false);
      ids.add(other);
    }
    expect(lab.upstream.requests).toEqual([]);
    await goesThroughOnce();
    for (const other of ids) {
      if (other !== id) await ada.deny(other, "only a test");
    }
  });

  test("attack 75: another agent, or the same one on behalf of somebody else, is another call", async () => {
    const id = await approved();
    const mallory = await lab.tenant.agent();
    const foreign = await mallory.token(["connections:call:*"]);
    const others = [
      await pay({ authorization: `Bearer ${foreign}` }),
      await pay({
        authorization: `Bearer ${await lab.tenant.token(["connections:call:*"], { user: "eve" })}`,
      }),
    ].map(waitsFor);
    expect(new Set([id, ...others]).size).toBe(3);
    expect(lab.upstream.requests).toEqual([]);
    await goesThroughOnce();
    for (const other of others) await ada.deny(other, "only a test");
  });

  test("attack 75: what may differ between attempts may differ", async () => {
    await approved();
    const passed = await pay({
      headers: [
        JSON_TYPE,
        "User-Agent: other/2",
        "Idempotency-Key: 2",
        "Traceparent: 00-1-1-01",
        "Date: now",
      ],
    });
    expect(passed.status).toBe(200);
    expect(lab.upstream.last().header("idempotency-key")).toEqual(["2"]);
  });
});

describe("attack 76: an approval is used again", () => {
  test("attack 76: 50 calls at the same time: exactly one leaves, the others wait for the next approval", async () => {
    const id = await approved();
    const answers = await Promise.all(Array.from({ length: 50 }, () => pay()));
    const passed = answers.filter(({ status }) => status === 200);
    expect(passed).toHaveLength(1);
    expect(lab.upstream.requests).toHaveLength(1);
    const refused = answers.filter(({ status }) => status !== 200);
    const waiting = refused.filter((answer) => codeOf(answer) === "APPROVAL_REQUIRED");
    expect(refused.filter((answer) => !waiting.includes(answer)).map(codeOf)).toEqual([]);
    const ids = new Set(waiting.map(waitsFor));
    expect(ids.size).toBe(1);
    expect(ids).not.toContain(id);
    for (const other of ids) await ada.deny(other, "only a test");
    const denied = await pay();
    expect(codeOf(denied)).toBe("APPROVAL_DENIED");
    expect(lab.upstream.requests).toHaveLength(1);
  });

  test("attack 76: what was denied is not approved afterwards", async () => {
    // The same call stays denied for a while: this is another.
    const other = { body: BODY.replace("alice", "bob") };
    const id = waitsFor(await pay(other));
    await ada.deny(id, "not bob");
    expect((await ada.call("POST", `/v1/approvals/${id}/approve`, { body: {} })).status).toBe(409);
    expect(codeOf(await pay(other))).toBe("APPROVAL_DENIED");
    expect(lab.upstream.requests).toEqual([]);
  });
});

describe("attack 79: what was approved stands in another world", () => {
  const call = (n: number): CallOptions => ({ body: BODY.replace("alice", `carol-${n}`) });

  test.each<[string, () => Promise<unknown>]>([
    [
      "the policy was edited",
      () => changed(lab.tenant.admin, "PATCH", `/v1/policies/${policy.id}`, { message: "ask finance" }),
    ],
    [
      "another policy asks, too",
      () =>
        changed(lab.tenant.admin, "POST", "/v1/policies", {
          ...{ name: "two of them", effect: "require_approval", approvals: 2 },
          condition: 'request.path == "/pay/1"',
        }),
    ],
    [
      "the secret was rotated",
      () =>
        changed(lab.tenant.admin, "PUT", "/v1/secrets/test/api/KEY", { value: "another-value-of-the-key-2" }),
    ],
    [
      "the connection was edited, and back again",
      async () => {
        await changed(lab.tenant.admin, "PATCH", "/v1/connections/api", { credential: KINDS.header });
        await changed(lab.tenant.admin, "PATCH", "/v1/connections/api", { credential: KINDS.bearer });
      },
    ],
  ])("attack 79: %s: the approval does not count any more", async (what, change) => {
    const options = call(what.length);
    const id = waitsFor(await pay(options));
    await ada.approve(id);
    await change();
    const other = waitsFor(await pay(options));
    expect(other).not.toBe(id);
    expect(lab.upstream.requests).toEqual([]);
  });

  test("attack 79: the approver was removed: the vote does not count any more", async () => {
    const bob = await people.person("editor", ada);
    const options = { ...call(99), headers: [JSON_TYPE] };
    const target = "/proxy/api/pay/once?fast=yes";
    const id = waitsFor(await pay(options, target));
    await bob.approve(id);
    await lab.tenant.admin.must("DELETE", `/v1/members/${bob.memberId}`);
    expect(waitsFor(await pay(options, target))).toBe(id);
    expect(lab.upstream.requests).toEqual([]);
    await ada.approve(id);
    expect((await pay(options, target)).status).toBe(200);
  });
});
