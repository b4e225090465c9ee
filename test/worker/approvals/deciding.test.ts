import { runDurableObjectAlarm } from "cloudflare:test";
import { eq } from "drizzle-orm";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type MemberId, newId } from "../../../src/base/ids.ts";
import { agentKeys, enrolments, members, sessions } from "../../../src/identity/tables.ts";
import { db, send } from "../api/door.ts";
import { type SignedIn, signedIn } from "../support/signed-in.ts";
import {
  approve,
  cancel,
  codeOf,
  CRITICAL,
  deny,
  type Desk,
  later,
  openDesk,
  seen,
  SENSITIVE,
  stubOf,
} from "./fixtures.ts";

const MINUTE = 60_000;
const CONFLICT = [409, "CONFLICT"];
const DENIED = [403, "ROLE_DENIED"];

let at: Desk;
let admin: SignedIn;
let editor: SignedIn;
beforeEach(async () => {
  at = await openDesk();
  [admin, editor] = await Promise.all([signedIn(at.tenantId, "admin"), signedIn(at.tenantId, "editor")]);
});
afterEach(() => void vi.useRealTimers());

const set = (id: MemberId, columns: Partial<typeof members.$inferInsert>) =>
  db.update(members).set(columns).where(eq(members.id, id));
const statusOf = async (id: string) => (await seen(admin, id)).body.status;
/** What the agent gets that repeats its request. */
const again = async (scopes = [SENSITIVE], over: object = {}) => {
  const { status, body } = await at.ask(scopes, over);
  return status === 201 ? "token" : (body.approval_id ?? body.error.code);
};

describe("a request that one person approves", () => {
  test("is answered with the token, once: the same again is another request", async () => {
    const id = await at.held();
    const approved = await approve(editor, id, { comment: "for the report" });
    expect(approved.body).toMatchObject({
      ...{ id, status: "approved", approvals: 1, delay_seconds: 0 },
      votes: [{ member_id: editor.memberId, comment: "for the report" }],
    });
    const issued = await at.ask([SENSITIVE]);
    expect([issued.status, typeof issued.body.token]).toEqual([201, "string"]);
    expect((await at.own(id)).body.status).toBe("consumed");
    const next = await again();
    expect(next).toMatch(/^apr_/);
    expect(next).not.toBe(id);
  });

  test("attack 63: asked for many times at once after that, is answered with one token", async () => {
    const id = await at.held();
    await approve(editor, id);
    const answers = await Promise.all(Array.from({ length: 8 }, () => at.ask([SENSITIVE])));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    const others = answers.filter(({ status }) => status === 202).map(({ body }) => body.approval_id);
    expect(new Set(others).size).toBe(1);
    expect(others).not.toContain(id);
  });

  test("says in the trail who asked, who approved, and which token came of it", async () => {
    const id = await at.held();
    await approve(editor, id);
    const { body } = await at.ask([SENSITIVE]);
    const [granted] = await at.trail("approval.granted");
    expect(granted).toMatchObject({
      ...{ resource: id, actor: `member:${editor.memberId}` },
      context: { approvals: 1, member_id: editor.memberId, agent_id: at.agent.id },
    });
    const [consumed] = await at.trail("approval.consumed");
    expect(consumed).toMatchObject({ resource: id, context: { use: body.token_id } });
    const [issued] = await at.trail("token.issued");
    expect(issued).toMatchObject({ resource: body.token_id, context: { approval_id: id } });
  });

  test("is kept for who asked where the token could not be issued after all", async () => {
    const id = await at.held();
    await approve(editor, id);
    const desk = at.desk();
    const held = (await desk.get(id as never))?.held;
    if (held === undefined) throw new Error("no case");
    const standing = await desk.find(held.agentId, held.digest, "tok_one");
    expect(standing).toMatchObject({ kind: "ready", voters: [editor.memberId] });
    expect(await desk.consume(held.id, "tok_one", [editor.memberId])).toMatchObject({ kind: "granted" });
    expect(await desk.consume(held.id, "tok_two", [editor.memberId])).toMatchObject({ reason: "over" });
    await desk.release(held.id, "tok_two");
    expect(await statusOf(id)).toBe("consumed");
    await desk.release(held.id, "tok_one");
    expect(await statusOf(id)).toBe("approved");
    expect(await again()).toBe("token");
  });
});

describe("a request for what is critical", () => {
  test("takes two people and five minutes, in which it can be seen but not used", async () => {
    const id = await at.held([CRITICAL]);
    expect((await approve(admin, id)).body).toMatchObject({ status: "pending", approvals: 1 });
    expect(await again([CRITICAL])).toBe(id);
    const { body } = await approve(editor, id);
    expect(body.status).toBe("approved");
    const delay = Date.parse(body.not_before) - Date.parse(body.decided_at);
    expect(delay).toBe(5 * MINUTE);
    expect((await at.ask([CRITICAL])).body).toMatchObject({ approval_id: id, not_before: body.not_before });
    later(5 * MINUTE + 1_000);
    expect(await again([CRITICAL])).toBe("token");
  });

  test("waits as long as its namespace says, the longest over what is reached", async () => {
    const put = (namespace: string, approval_delay_seconds: number) =>
      send("PUT", `/v1/namespaces/${namespace}`, {
        credential: at.tenant.admin,
        body: { approval_delay_seconds },
      });
    await at.put("app/critical/other/KEY", "critical");
    await put("app", 60);
    await put("app/critical/other", 7_200);
    const delayOf = async (scopes: string[]) => (await seen(admin, await at.held(scopes))).body.delay_seconds;
    expect(await delayOf([CRITICAL])).toBe(60);
    expect(await delayOf(["secrets:read:app/*"])).toBe(7_200);
  });

  test.each(["deny", "cancel"] as const)(
    "is stopped by anybody entitled while its delay runs: %s",
    async (how) => {
      const id = await at.held([CRITICAL]);
      await approve(admin, id);
      await approve(editor, id);
      const other = await signedIn(at.tenantId, "editor");
      expect((await (how === "deny" ? deny(other, id) : cancel(other, id))).status).toBe(200);
      later(6 * MINUTE);
      expect(await again([CRITICAL])).not.toBe("token");
    },
  );

  test("attack 78: has to be used within a quarter of an hour of when it holds", async () => {
    const id = await at.held([CRITICAL]);
    await approve(admin, id);
    await approve(editor, id);
    later(20 * MINUTE + 1_000);
    expect(await again([CRITICAL])).not.toBe("token");
    expect(await statusOf(id)).toBe("expired");
  });

  test("attack 78: no alarm, however early or often it comes, shortens its delay", async () => {
    const id = await at.held([CRITICAL]);
    await approve(admin, id);
    await approve(editor, id);
    for (const _ of [1, 2, 3]) await runDurableObjectAlarm(stubOf(at.tenantId));
    expect(await again([CRITICAL])).toBe(id);
    later(4 * MINUTE);
    await runDurableObjectAlarm(stubOf(at.tenantId));
    expect(await again([CRITICAL])).toBe(id);
  });

  test("attack 78: a clock that goes back neither shortens the delay nor the answer's time", async () => {
    const id = await at.held([CRITICAL]);
    await approve(admin, id);
    later(-50 * MINUTE);
    const { body } = await approve(await signedIn(at.tenantId, "editor"), id);
    expect(Date.parse(body.not_before) - Date.parse(body.requested_at)).toBeGreaterThanOrEqual(5 * MINUTE);
    later(6 * MINUTE);
    expect(await again([CRITICAL])).toBe(id);
  });
});

describe("attack 76: what is over", () => {
  test("attack 76: denied stays denied: for the agent that repeats it, and for who would approve it then", async () => {
    const id = await at.held();
    expect((await deny(editor, id, "not for this")).body).toMatchObject({
      ...{ status: "denied", reason: "not for this", ended_by: `member:${editor.memberId}` },
    });
    expect(codeOf(await approve(admin, id))).toEqual(CONFLICT);
    expect(await again()).toBe("APPROVAL_DENIED");
    expect((await at.own(id)).body).toMatchObject({ status: "denied", reason: "not for this" });
    later(60 * MINUTE);
    expect(await again()).toMatch(/^apr_/);
    expect(codeOf(await approve(admin, id))).toEqual([403, "STEP_UP_REQUIRED"]);
  });

  test.each([
    ["expired", async () => later(61 * MINUTE)],
    ["cancelled", async (id: string) => void (await cancel(editor, id))],
  ])("attack 76: %s, nobody approves it any more", async (status, ends) => {
    const id = await at.held();
    await ends(id);
    const fresh = await signedIn(at.tenantId, "admin");
    expect(codeOf(await approve(fresh, id))).toEqual(CONFLICT);
    expect(codeOf(await deny(fresh, id))).toEqual(CONFLICT);
    expect(await statusOf(id)).toBe(status);
    expect(await again()).not.toBe("token");
  });

  test("attack 76: an approval serves the request that was shown, and no other", async () => {
    const id = await at.held([SENSITIVE], { max_uses: 1 });
    await approve(editor, id);
    const others = [
      {},
      { max_uses: 2 },
      { max_uses: 1, ttl: "11m" },
      { max_uses: 1, context: { reason: "x" } },
    ];
    for (const over of others) expect(await again([SENSITIVE], over)).not.toBe("token");
    const stranger = await at.newAgent();
    expect((await at.ask([SENSITIVE], { max_uses: 1 }, stranger.api_key)).status).toBe(202);
    expect(await again([SENSITIVE], { max_uses: 1 })).toBe("token");
  });
});

describe("attack 77: two clicks", () => {
  test("attack 77: of one approver, one after the other or at once, are one", async () => {
    const id = await at.held([CRITICAL]);
    const clicks = await Promise.all([approve(admin, id), approve(admin, id), approve(admin, id)]);
    expect(clicks.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect((await approve(admin, id)).body).toMatchObject({ status: "pending", approvals: 1 });
    expect(await at.trail("approval.granted")).toHaveLength(1);
    expect((await approve(editor, id)).body).toMatchObject({ status: "approved", approvals: 2 });
    expect((await approve(editor, id)).body).toMatchObject({ status: "approved", approvals: 2 });
  });
});

describe("attack 74: nobody approves their own request", () => {
  /** That somebody used a code that another made, just now. */
  const enrolled = (memberId: MemberId, createdBy: MemberId) =>
    db.insert(enrolments).values({
      ...{ id: newId("enrolment"), tenantId: at.tenantId, memberId, createdBy },
      ...{ digest: crypto.randomUUID(), createdAt: Date.now(), expiresAt: Date.now(), spentAt: Date.now() },
    });

  test("attack 74: nor does one person with two accounts make two", async () => {
    const id = await at.held([CRITICAL]);
    await enrolled(editor.memberId, admin.memberId);
    expect((await approve(admin, id)).status).toBe(200);
    expect(codeOf(await approve(editor, id))).toEqual(DENIED);
    expect(await statusOf(id)).toBe("pending");
    expect((await approve(await signedIn(at.tenantId, "editor"), id)).body.status).toBe("approved");
  });

  test("attack 74: nor with two that click at the same moment", async () => {
    const id = await at.held([CRITICAL]);
    await enrolled(editor.memberId, admin.memberId);
    const answers = await Promise.all([approve(admin, id), approve(editor, id)]);
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 403]);
    expect((await seen(admin, id)).body.approvals).toBe(1);
  });

  test("attack 74: nor with an account of the same subject that was removed and made again", async () => {
    const id = await at.held([CRITICAL]);
    await approve(admin, id);
    await set(admin.memberId, { revokedAt: Date.now() });
    const again = { subject: admin.memberId };
    await set(editor.memberId, again);
    await db.update(sessions).set(again).where(eq(sessions.memberId, editor.memberId));
    expect(codeOf(await approve(editor, id))).toEqual(DENIED);
    expect((await seen(editor, id)).body).toMatchObject({ approvals: 1, status: "pending" });
  });

  test.each([
    ["the token's user", (who: SignedIn) => ({ user: who.memberId })],
    ["the context's user", (who: SignedIn) => ({ context: { user: who.memberId } })],
  ])("attack 74: a request on somebody's behalf is not theirs to approve: %s", async (_, over) => {
    const id = await at.held([SENSITIVE], over(editor));
    expect(codeOf(await approve(editor, id))).toEqual(DENIED);
    expect((await approve(admin, id)).body.status).toBe("approved");
  });

  test("attack 74: where it takes two, not who made the agent's key within the day; where it takes one, they may", async () => {
    const own = await at.newAgent("standard", admin);
    const critical = await at.held([CRITICAL], {}, own.api_key);
    expect(codeOf(await approve(admin, critical))).toEqual(DENIED);
    expect((await approve(editor, critical)).status).toBe(200);
    const sensitive = await at.held([SENSITIVE], {}, own.api_key);
    expect((await approve(admin, sensitive)).body.status).toBe("approved");
    const yesterday = { createdAt: Date.now() - 25 * 60 * MINUTE };
    await db
      .update(agentKeys)
      .set(yesterday)
      .where(eq(agentKeys.agentId, own.id as never));
    expect((await approve(admin, critical)).body.status).toBe("approved");
  });
});

describe("attack 79: what changes between the approval and its use", () => {
  const approved = async (scopes: string[]) => {
    const id = await at.held(scopes);
    await approve(admin, id);
    if (scopes[0] === CRITICAL) await approve(editor, id);
    if (scopes[0] === CRITICAL) later(5 * MINUTE + 1_000);
    return id;
  };

  test.each([
    ["was removed", { revokedAt: 1 }],
    ["only views now", { role: "viewer" as const }],
    ["only audits now", { role: "auditor" as const }],
    ["is a script now", { script: true }],
  ])("attack 79: an approver who %s does not count: it is open again for another", async (_, columns) => {
    const id = await approved([CRITICAL]);
    await set(editor.memberId, columns);
    expect(await again([CRITICAL])).toBe(id);
    const other = await signedIn(at.tenantId, "editor");
    expect((await seen(other, id)).body).toMatchObject({
      ...{ status: "pending", approvals: 1, not_before: null },
      votes: [{ member_id: admin.memberId }],
    });
    expect((await approve(other, id)).body.status).toBe("approved");
    expect(await again([CRITICAL])).toBe(id);
    later(5 * MINUTE + 1_000);
    expect(await again([CRITICAL])).toBe("token");
    const [reopened] = await at.trail("approval.reopened");
    expect(reopened).toMatchObject({ resource: id, context: { withdrawn: [editor.memberId] } });
  });

  test.each([
    ["the secret is rotated", () => at.put("app/sensitive/KEY", "sensitive")],
    ["its tier is raised", () => at.put("app/sensitive/KEY", "critical")],
    ["another secret comes to be reached", () => at.put("app/sensitive/KEY/more", "sensitive")],
    [
      "the agent is changed",
      () => send("PATCH", `/v1/agents/${at.agent.id}`, { credential: at.tenant.admin, body: { name: "b" } }),
    ],
    ["a policy comes to ask for people", () => policy("require_approval")],
    ["a connection comes to use it", () => at.connect("strict", "app/sensitive/KEY")],
  ])("attack 79: where %s, it is another request", async (_, change) => {
    const scopes = ["secrets:read:app/sensitive/*", "connections:call:*"];
    const id = await approved(scopes);
    expect((await change()).status).toBeLessThan(300);
    const { status, body } = await at.ask(scopes);
    expect(status).toBe(202);
    expect(body.approval_id).not.toBe(id);
  });

  test("attack 79: where a policy comes to deny it, it is denied", async () => {
    const id = await approved([SENSITIVE]);
    await policy("deny", "no tokens on Sundays");
    const answer = await at.ask([SENSITIVE]);
    expect(codeOf(answer)).toEqual([403, "POLICY_DENIED"]);
    expect(answer.body.why).toBe("no tokens on Sundays");
    expect(await statusOf(id)).toBe("approved");
  });
});

describe("policies on requests for tokens", () => {
  test("ask for people where nothing strict is reached, for the most that either asks", async () => {
    await policy("require_approval");
    const id = await at.held(["secrets:read:app/standard/*"]);
    expect((await seen(admin, id)).body).toMatchObject({
      ...{ approvals_needed: 2, delay_seconds: 60, tier: "standard" },
      policies: [{ name: "a policy", version: 1 }],
    });
    const critical = await at.held([CRITICAL]);
    expect((await seen(admin, critical)).body).toMatchObject({ approvals_needed: 2, delay_seconds: 300 });
  });

  test("look into what is asked for", async () => {
    await policy("deny", null, 'asked.scopes.exists(s, s.startsWith("secrets:write"))');
    expect(codeOf(await at.ask(["secrets:write:app/standard/*"]))).toEqual([403, "POLICY_DENIED"]);
    expect((await at.ask(["secrets:read:app/standard/*"])).status).toBe(201);
  });
});

async function policy(effect: string, message: string | null = null, condition?: string) {
  const body = {
    ...{ name: "a policy", on: "tokens", effect, message, ...(condition === undefined ? {} : { condition }) },
    ...(effect === "require_approval" ? { approvals: 2, delay_seconds: 60 } : {}),
  };
  const answer = await send("POST", "/v1/policies", { credential: at.tenant.admin, body });
  if (answer.status !== 201) throw new Error(`${answer.status} ${answer.text}`);
  // By then it holds everywhere.
  later(6_000);
  return answer;
}

test("nothing but a permission can be granted for less than was asked", async () => {
  const id = await at.held();
  expect(codeOf(await approve(editor, id, { granted: { scopes: [] } }))).toEqual([400, "VALIDATION_ERROR"]);
});
