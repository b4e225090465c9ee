import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { reply } from "../support/hostile-upstream.ts";
import { alarmOf, makeAlarmDue } from "./alarms.ts";
import { databaseOf } from "./database.ts";
import { codeOf, type Lab, openLab } from "./support.ts";

const PARALLEL = 500;

let lab: Lab;

beforeAll(async () => {
  lab = await openLab(() => ({ up: {} }));
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.upstream.requests.length = 0;
  lab.upstream.answer = () => reply("200 OK", [], "ok");
});

/** Calls through sockets of their own; answers with the statuses, 0 for a call without an answer. */
async function statuses(token: string, count: number, target = "/proxy/up/x"): Promise<number[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const call = lab.send(target, { authorization: `Bearer ${token}`, timeoutMs: 20_000 });
      return call.then(({ status }) => status).catch(() => 0);
    }),
  );
}

const countOf = (list: readonly number[], wanted: number) =>
  list.filter((status) => status === wanted).length;

/** The ids of a token's events as the ledger has them; it has 20 s to hear of `atLeast` different ones. */
async function idsOf(tokenId: string, eventType: string, atLeast: number): Promise<string[]> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const { events } = await lab.tenant.admin.must("GET", `/v1/audit?event_type=${eventType}&limit=1000`);
    const own = (events as { id: string; context: { token_id?: string } }[]).filter(
      ({ context }) => context.token_id === tokenId,
    );
    const ids = own.map(({ id }) => id);
    if (new Set(ids).size >= atLeast || Date.now() > deadline) return ids;
    await sleep(200);
  }
}

/** How many of a token's calls, by the ledger, once it has heard of `atLeast`. */
async function recorded(tokenId: string, eventType: string, atLeast: number): Promise<number> {
  return (await idsOf(tokenId, eventType, atLeast)).length;
}

test.each([1, 7, 100])(
  "attack 63: of 500 requests in parallel with a token of %i uses, exactly so many reach the upstream",
  async (uses) => {
    const { token, tokenId } = await lab.tenant.issue(["connections:call:up"], { max_uses: uses });
    const answers = await statuses(token, PARALLEL);
    expect([countOf(answers, 200), countOf(answers, 403)]).toEqual([uses, PARALLEL - uses]);
    expect(lab.upstream.requests).toHaveLength(uses);
    expect(await lab.tenant.uses(tokenId)).toBe(uses);
    expect(await recorded(tokenId, "connection.called", uses)).toBe(uses);
  },
);

test("attack 63: the rate of a token is as exact, and the refusal says when to come back", async () => {
  const token = await lab.tenant.token(["connections:call:up"], { rate: "20/h" });
  const answers = await statuses(token, 100);
  expect([countOf(answers, 200), countOf(answers, 429)]).toEqual([20, 80]);
  const refused = await lab.send("/proxy/up/x", { authorization: `Bearer ${token}` });
  expect([refused.status, Number(refused.header("retry-after")[0]) > 3_000]).toEqual([429, true]);
});

test("attack 64: killed while the upstream has the call, the use is spent once, and is in the ledger once", async () => {
  const { token, tokenId } = await lab.tenant.issue(["connections:call:up"], { max_uses: 2 });
  let arrived: () => void = () => undefined;
  const reached = new Promise<void>((resolve) => (arrived = resolve));
  lab.upstream.answer = () => {
    arrived();
    return new Promise(() => undefined);
  };
  const lost = lab.send("/proxy/up/pay", { method: "POST", body: "a=1", authorization: `Bearer ${token}` });
  lost.catch(() => undefined);
  await reached;
  await lab.gateway.kill();
  await expect(lost).rejects.toThrow();
  lab.upstream.answer = () => reply("200 OK", [], "ok");
  await lab.gateway.restart();
  expect(await lab.tenant.uses(tokenId)).toBe(1);
  expect(await statuses(token, 1)).toEqual([200]);
  const third = await lab.send("/proxy/up/x", { authorization: `Bearer ${token}` });
  expect([third.status, codeOf(third)]).toEqual([403, "USES_EXHAUSTED"]);
  expect(lab.upstream.requests.map(({ target }) => target)).toEqual(["/pay", "/x"]);
  expect(await recorded(tokenId, "connection.called", 2)).toBe(2);
});

test("attack 65: the same Idempotency-Key goes to the provider each time, and each time costs a use", async () => {
  const { token, tokenId } = await lab.tenant.issue(["connections:call:up"], { max_uses: 2 });
  const call = () =>
    lab.send("/proxy/up/pay", {
      method: "POST",
      body: "a=1",
      authorization: `Bearer ${token}`,
      headers: ["Idempotency-Key: pay-1", "X-Request-Id: req_1", "X-Valetkey-Call-Id: call_1", "CF-Ray: 1"],
    });
  expect([(await call()).status, (await call()).status, (await call()).status]).toEqual([200, 200, 403]);
  expect(lab.upstream.requests.map(({ header }) => header("idempotency-key"))).toEqual([
    ["pay-1"],
    ["pay-1"],
  ]);
  expect(await lab.tenant.uses(tokenId)).toBe(2);
});

test("attack 65: a call that the upstream fails is neither repeated nor given back", async () => {
  const { token, tokenId } = await lab.tenant.issue(["connections:call:up"], { max_uses: 1 });
  lab.upstream.answer = () => ({ pieces: [] });
  const failed = await lab.send("/proxy/up/pay", {
    method: "POST",
    body: "a=1",
    authorization: `Bearer ${token}`,
  });
  expect([failed.status, codeOf(failed)]).toEqual([502, "UPSTREAM_FAILED"]);
  expect(lab.upstream.requests).toHaveLength(1);
  expect(await lab.tenant.uses(tokenId)).toBe(1);
  expect(await statuses(token, 1)).toEqual([403]);
});

test("attack 67: what a token's alarm brings to the ledger again, after two crashes, is there once", async () => {
  const { token, tokenId } = await lab.tenant.issue(["connections:call:up"]);
  const { stateDir } = lab.gateway;
  expect(await statuses(token, 1)).toEqual([200]);
  expect(await recorded(tokenId, "connection.called", 1)).toBe(1);
  for (const calls of [2, 3]) {
    // What was acknowledged since the last use was in memory alone: the object has to hand it over again.
    await lab.gateway.kill();
    const due = makeAlarmDue(stateDir, tokenId);
    await lab.gateway.restart();
    await expect.poll(() => alarmOf(stateDir, tokenId), { timeout: 10_000 }).not.toBe(due);
    // Events go to the ledger in their order: behind this one is whatever the alarm has sent.
    expect(await statuses(token, 1)).toEqual([200]);
    expect(await recorded(tokenId, "connection.called", calls)).toBe(calls);
    expect(await lab.tenant.uses(tokenId)).toBe(calls);
  }
});

describe("attack 68: the database is away", () => {
  /** Locks D1's file, which every query then fails on, for as long as `work` takes. */
  async function away<T>(work: () => Promise<T>): Promise<T> {
    const database = databaseOf(lab.gateway.stateDir);
    database.exec("BEGIN EXCLUSIVE");
    try {
      return await work();
    } finally {
      database.exec("ROLLBACK");
      database.close();
    }
  }

  test("attack 68: calls that are warm go on, beyond the lease, and every one is in the ledger", async () => {
    const { token, tokenId } = await lab.tenant.issue(["connections:call:up"]);
    expect(await statuses(token, 1)).toEqual([200]);
    await away(async () => {
      expect(await statuses(token, 10)).toEqual(Array.from({ length: 10 }, () => 200));
      await sleep(5_500);
      expect(await statuses(token, 10)).toEqual(Array.from({ length: 10 }, () => 200));
    });
    expect(await recorded(tokenId, "connection.called", 21)).toBe(21);
  });

  test("attack 68: what is not known is refused, nothing leaves and no use is spent", async () => {
    const { token, tokenId } = await lab.tenant.issue(["connections:call:up"], { max_uses: 1 });
    // A fresh isolate, which knows of nothing.
    await lab.gateway.restart();
    await away(async () => {
      const [status = 0] = await statuses(token, 1);
      expect(status).toBeGreaterThanOrEqual(500);
      const change = await lab.tenant.admin.call("POST", "/v1/agents", { body: { name: "half-made" } });
      expect(change.status).toBeGreaterThanOrEqual(500);
      expect(JSON.stringify(change.body)).not.toMatch(/sqlite|D1_|locked/i);
    });
    expect(lab.upstream.requests).toEqual([]);
    expect(await lab.tenant.uses(tokenId)).toBe(0);
    expect(await statuses(token, 1)).toEqual([200]);
    const { agents } = await lab.tenant.admin.must("GET", "/v1/agents?limit=200");
    expect(JSON.stringify(agents)).not.toContain("half-made");
  });
});

test("attack 69: with the key service unable to open, nothing leaves and no use is spent", async () => {
  const { token, tokenId } = await lab.tenant.issue(["connections:call:up"], { max_uses: 1 });
  await lab.gateway.restart({ ROOT_KEYS: `9:${Buffer.alloc(32, 9).toString("base64")}` });
  const answer = await lab.send("/proxy/up/x", { authorization: `Bearer ${token}` });
  expect([answer.status, codeOf(answer)]).toEqual([500, "INTERNAL"]);
  expect(answer.text).not.toMatch(/root key|embedded|unwrap|AES/i);
  expect(lab.upstream.requests).toEqual([]);
  const { ROOT_KEYS } = JSON.parse(
    (await import("node:fs")).readFileSync(`${lab.gateway.stateDir}/keys.json`, "utf8"),
  );
  await lab.gateway.restart({ ROOT_KEYS });
  expect(await lab.tenant.uses(tokenId)).toBe(0);
  expect(await statuses(token, 1)).toEqual([200]);
});
