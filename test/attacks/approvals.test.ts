import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Approver, startPeople } from "../support/approver.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { type ApiAnswer, createTenant, type TestAgent, type TestTenant } from "../support/tenant.ts";

/* Requests for tokens that people have to answer, as an agent, its friends and its enemies meet them at the door. */

const SENSITIVE = "secrets:use:app/sensitive/KEY";
const CRITICAL = "secrets:use:app/critical/KEY";

let gateway: Gateway;
let tenant: TestTenant;
let people: Awaited<ReturnType<typeof startPeople>>;
let ada: Approver;
let ben: Approver;
let eve: Approver;
let agent: TestAgent;

beforeAll(async () => {
  gateway = await startGateway();
  tenant = await createTenant(gateway);
  people = await startPeople(tenant);
  // All invited before anybody has joined: nobody was there who could have.
  ada = await people.person("admin");
  ben = await people.person("editor");
  eve = await people.person("admin");
  for (const person of [ada, ben, eve]) expect((await person.call("GET", "/v1/me")).status).toBe(200);
  await tenant.putSecret("app/sensitive/KEY", "a-sensitive-value-1", { access_tier: "sensitive" });
  await tenant.putSecret("app/critical/KEY", "a-critical-value-1", { access_tier: "critical" });
  await tenant.admin.must("PUT", "/v1/namespaces/app", { approval_delay_seconds: 2 });
});
beforeEach(async () => {
  // Its requests are nobody else's.
  agent = await tenant.agent();
});
afterAll(async () => {
  await people?.stop();
  await gateway?.stop();
});

const codeOf = ({ status, body }: ApiAnswer) => [status, body.error?.code];
const ask = (scope = SENSITIVE, over: object = {}): Promise<ApiAnswer> =>
  agent.call("POST", "/v1/tokens", { body: { scopes: [scope], ttl: "10m", ...over } });

async function held(scope = SENSITIVE, over: object = {}): Promise<string> {
  const { status, body } = await ask(scope, over);
  expect(status).toBe(202);
  return body.approval_id;
}

const approve = (who: Pick<Approver, "call">, id: string, body: object = {}, headers = {}) =>
  who.call("POST", `/v1/approvals/${id}/approve`, { body, headers });
const seen = async (id: string) => (await ada.call("GET", `/v1/approvals/${id}`)).body;

/** Asks again until it is not "wait" any more. */
async function soon(scope: string): Promise<ApiAnswer> {
  for (let left = 100; ; left--) {
    const answer = await ask(scope);
    if (answer.status !== 202 || left === 0) return answer;
    await sleep(100);
  }
}

describe("attack 74: nobody approves their own request", () => {
  test("attack 74: not in another's name, whatever the request says", async () => {
    const id = await held(CRITICAL);
    expect((await approve(ada, id)).status).toBe(200);
    const claims = [
      { member_id: ben.memberId },
      { actor: `member:${ben.memberId}` },
      { memberId: ben.memberId },
    ];
    for (const body of claims)
      expect(codeOf(await approve(ada, id, body))).toEqual([400, "VALIDATION_ERROR"]);
    const headers = {
      "x-feed-member": ben.memberId,
      "x-member-id": ben.memberId,
      "x-valetkey-actor": ben.memberId,
    };
    expect((await approve(ada, id, {}, headers)).body).toMatchObject({ status: "pending", approvals: 1 });
    expect((await seen(id)).votes.map(({ member_id }: { member_id: string }) => member_id)).toEqual([
      ada.memberId,
    ]);
  });

  test("attack 74: not by a second person whom the first has just let in", async () => {
    const puppet = await people.person("editor", ada);
    const id = await held(CRITICAL);
    expect((await approve(ada, id)).status).toBe(200);
    expect(codeOf(await approve(puppet, id))).toEqual([403, "ROLE_DENIED"]);
    expect(await seen(id)).toMatchObject({ status: "pending", approvals: 1 });
    const other = await held(CRITICAL, { max_uses: 2 });
    const both = await Promise.all([approve(ada, other), approve(puppet, other)]);
    expect(both.map(({ status }) => status).toSorted()).toEqual([200, 403]);
  });

  test("attack 74: not by a person whom a script has just let in beside others", async () => {
    const puppet = await people.person("editor");
    expect(codeOf(await approve(puppet, await held()))).toEqual([403, "ROLE_DENIED"]);
  });

  test("attack 74: not by the one for whom it is", async () => {
    const id = await held(SENSITIVE, { user: ben.memberId });
    expect(codeOf(await approve(ben, id))).toEqual([403, "ROLE_DENIED"]);
    expect((await approve(ada, id)).body.status).toBe("approved");
  });

  test("attack 74: where it takes two, not by the one who made the agent's key", async () => {
    const made = await eve.call("POST", "/v1/agents", {
      body: { name: "hers", allowed_scopes: ["secrets:*:*"] },
    });
    const hers = tenant.as(made.body.api_key);
    const body = { scopes: [CRITICAL], ttl: "10m" };
    const { approval_id: id } = (await hers.call("POST", "/v1/tokens", { body })).body;
    expect(codeOf(await approve(eve, id))).toEqual([403, "ROLE_DENIED"]);
    await ada.approve(id);
    await ben.approve(id);
  });
});

describe("attack 76: what is over", () => {
  test("attack 76: an approval is used once, by whoever asks first", async () => {
    const id = await held();
    await ada.approve(id);
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask()));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    for (const { status, body } of answers) if (status === 202) expect(body.approval_id).not.toBe(id);
    expect(codeOf(await approve(ben, id))).toEqual([409, "CONFLICT"]);
    expect((await seen(id)).status).toBe("consumed");
  });

  test("attack 76: what was denied is not approved afterwards, nor asked for again at once", async () => {
    const id = await held();
    await ben.deny(id, "not today");
    expect(codeOf(await approve(ada, id))).toEqual([409, "CONFLICT"]);
    const again = await ask();
    expect(codeOf(again)).toEqual([403, "APPROVAL_DENIED"]);
    expect(again.body.detail).toContain("not today");
  });

  test("attack 76: another agent's approval is nobody else's", async () => {
    await ada.approve(await held());
    agent = await tenant.agent();
    expect((await ask()).status).toBe(202);
  });
});

test("attack 77: two clicks by one approver, one after the other or at once, are one", async () => {
  const id = await held(CRITICAL);
  const clicks = await Promise.all([approve(ada, id), approve(ada, id)]);
  expect(clicks.map(({ status }) => status)).toEqual([200, 200]);
  expect((await approve(ada, id)).body).toMatchObject({ status: "pending", approvals: 1 });
});

test("attack 78: the delay is over before the token is issued, however often it is asked for", async () => {
  const id = await held(CRITICAL);
  await ada.approve(id);
  await ben.approve(id);
  const { not_before } = await seen(id);
  const answer = await soon(CRITICAL);
  expect(answer.status).toBe(201);
  const { body } = await agent.call("GET", `/v1/tokens/${answer.body.token_id}`);
  expect(Date.parse(body.issued_at)).toBeGreaterThanOrEqual(Date.parse(not_before));
});

describe("attack 79: what changes between the approval and its use", () => {
  test("attack 79: an approver who was demoted does not count", async () => {
    const cleo = await people.person("editor", eve);
    const id = await held();
    await cleo.approve(id);
    const changed = await eve.call("PATCH", `/v1/members/${cleo.memberId}`, { body: { role: "viewer" } });
    expect(changed.status).toBe(200);
    expect((await ask()).body.approval_id).toBe(id);
    expect(await seen(id)).toMatchObject({ status: "pending", approvals: 0 });
    await ada.approve(id);
    expect((await ask()).status).toBe(201);
  });

  test("attack 79: a secret that was rotated is another request's", async () => {
    const id = await held();
    await ada.approve(id);
    await tenant.putSecret("app/sensitive/KEY", "a-sensitive-value-2", { access_tier: "sensitive" });
    const again = await ask();
    expect([again.status, again.body.approval_id === id]).toEqual([202, false]);
  });
});

test("attack 80: with an agent's key, its token or a script's credential nobody answers, nor looks", async () => {
  const id = await held();
  const token = await agent.token(["namespaces:read"]);
  const asked: [method: string, path: string, body?: object][] = [
    ["GET", "/v1/approvals"],
    ["GET", `/v1/approvals/${id}`],
    ["GET", "/v1/approvals/feed"],
    ["POST", `/v1/approvals/${id}/approve`, {}],
    ["POST", `/v1/approvals/${id}/deny`, { reason: "x" }],
    ["POST", `/v1/approvals/${id}/cancel`, {}],
  ];
  for (const client of [agent, tenant.as(token), tenant.admin]) {
    for (const [method, path, body] of asked) {
      const answer = await client.call(method, path, body === undefined ? {} : { body });
      expect(codeOf(answer), `${method} ${path}`).toEqual([403, "ROLE_DENIED"]);
    }
  }
  expect((await seen(id)).status).toBe("pending");
  const stranger = await tenant.agent();
  for (const credential of [stranger.apiKey, await stranger.token(["namespaces:read"])]) {
    const mine = tenant.as(credential);
    expect((await mine.call("GET", `/v1/approvals/agent/${id}`)).status).toBe(404);
    expect((await mine.call("POST", `/v1/approvals/agent/${id}/cancel`, { body: {} })).status).toBe(404);
  }
});
