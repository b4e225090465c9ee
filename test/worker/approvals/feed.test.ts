import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { eq } from "drizzle-orm";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { DeskFeeds } from "../../../durable-objects/desk-feeds.ts";
import { FEED_LASTS_MS } from "../../../src/approvals/feed.ts";
import type { ApprovalId } from "../../../src/base/ids.ts";
import { members } from "../../../src/identity/tables.ts";
import { db, send } from "../api/door.ts";
import { type SignedIn, signedIn } from "../support/signed-in.ts";
import { approve, type Desk, later, openDesk, stubOf } from "./fixtures.ts";

const worker = (exports as unknown as { readonly default: Fetcher }).default;

const WAIT = { timeout: 5_000 };

let at: Desk;
let editor: SignedIn;
beforeEach(async () => {
  at = await openDesk();
  editor = await signedIn(at.tenantId, "editor");
});
const open: WebSocket[] = [];
afterEach(() => {
  vi.useRealTimers();
  for (const socket of open.splice(0)) socket.close(1000);
});

function ask(headers: Readonly<Record<string, string>>): Promise<Response> {
  const all = { upgrade: "websocket", "cf-connecting-ip": "192.0.2.1", ...headers };
  return worker.fetch("http://localhost/v1/approvals/feed", { headers: all });
}

/** Somebody who watches, and what they have been told so far. */
async function watch(who: SignedIn) {
  const { status, webSocket } = await ask(who.headers);
  if (webSocket === null) throw new Error(`no WebSocket, but: ${status}`);
  open.push(webSocket);
  const told: { type: string; until?: string; approval?: Record<string, unknown> }[] = [];
  const ends: { code: number }[] = [];
  const pongs: string[] = [];
  webSocket.addEventListener("message", ({ data }) => {
    if (data === "pong") pongs.push(data);
    else told.push(JSON.parse(String(data)));
  });
  webSocket.addEventListener("close", ({ code }) => void ends.push({ code }));
  webSocket.accept();
  await vi.waitUntil(() => told.length === 1, WAIT);
  return { told, ends, pongs, webSocket };
}

describe("the live feed", () => {
  test("tells people who watch what happens, as the list has it, and nobody of another tenant", async () => {
    const { told } = await watch(editor);
    const elsewhere = await openDesk();
    const stranger = await watch(await signedIn(elsewhere.tenantId, "admin"));
    const id = await at.held();
    await approve(editor, id);
    await vi.waitUntil(() => told.length >= 4, WAIT);
    const types = told.map(({ type }) => type);
    expect(types).toEqual(["feed.opened", "approval.requested", "approval.granted", "approval.ready"]);
    const { body } = await send("GET", `/v1/approvals`, { headers: editor.headers });
    expect(told.at(-1)?.approval).toEqual(body.approvals[0]);
    expect(stranger.told).toHaveLength(1);
  });

  test("goes on after its desk has slept, and hears nobody", async () => {
    const { told, pongs, webSocket } = await watch(editor);
    webSocket.send("ping");
    webSocket.send(JSON.stringify({ type: "approve" }));
    await vi.waitUntil(() => pongs.length === 1, WAIT);
    await evictDurableObject(stubOf(at.tenantId));
    await at.held();
    await vi.waitUntil(() => told.some(({ type }) => type === "approval.requested"), WAIT);
  });

  test("attack 79: ends after a quarter of an hour, and does not open again for who was demoted", async () => {
    const { ends, told } = await watch(editor);
    const until = Date.parse(told[0]?.until ?? "");
    expect(until - Date.now()).toBeLessThanOrEqual(FEED_LASTS_MS);
    await db.update(members).set({ role: "viewer" }).where(eq(members.id, editor.memberId));
    later(FEED_LASTS_MS);
    await runDurableObjectAlarm(stubOf(at.tenantId));
    await vi.waitUntil(() => ends.length === 1, WAIT);
    expect(ends).toEqual([{ code: 4001 }]);
    const again = await ask(editor.headers);
    expect([again.status, again.webSocket]).toEqual([403, null]);
    await again.body?.cancel();
  });

  test.each([
    ["was removed", { revokedAt: 1 }],
    ["was demoted", { role: "viewer" as const }],
    ["became a credential for scripts", { script: true }],
  ])(
    "attack 79: ends before anything more is told to who %s, also where its desk slept",
    async (_, change) => {
      const admin = await watch(await signedIn(at.tenantId, "admin"));
      const lost = await watch(editor);
      await db.update(members).set(change).where(eq(members.id, editor.memberId));
      await evictDurableObject(stubOf(at.tenantId));
      await at.held();
      await vi.waitUntil(() => lost.ends.length === 1 && admin.told.length === 2, WAIT);
      expect(lost.ends).toEqual([{ code: 4003 }]);
      expect(lost.told.map(({ type }) => type)).toEqual(["feed.opened"]);
      expect(admin.told.map(({ type }) => type)).toEqual(["feed.opened", "approval.requested"]);
      expect(admin.ends).toEqual([]);
    },
  );

  test("attack 79: tells nobody anything while it cannot be told who may watch, and ends", async () => {
    const { told, ends } = await watch(editor);
    const asked = await at.desk().get((await at.held()) as ApprovalId);
    await vi.waitUntil(() => told.length === 2, WAIT);
    await runInDurableObject(stubOf(at.tenantId), async (_, state) => {
      const feeds = new DeskFeeds(state, () => Promise.reject(new Error("D1 is away")));
      if (asked === null) throw new Error("nothing to tell");
      await feeds.tell(asked.held, [{ type: "granted", revision: 2, at: Date.now(), context: {} }]);
    });
    await vi.waitUntil(() => ends.length === 1, WAIT);
    expect(ends).toEqual([{ code: 4001 }]);
    expect(told).toHaveLength(2);
  });

  test.each([
    ["from a page of another site", { origin: "https://evil.example.com" }, 403],
    ["from a page that does not say whose it is", { origin: "" }, 403],
    ["that is none", { upgrade: "" }, 400],
  ])("attack 85: is not opened by a WebSocket %s", async (_, over, status) => {
    const headers: Record<string, string> = { ...editor.headers, ...over };
    if (headers["origin"] === "") delete headers["origin"];
    const answer = await ask(headers);
    expect([answer.status, answer.webSocket]).toEqual([status, null]);
    await answer.body?.cancel();
  });

  test("attack 80: is nobody's but people's: no agent's, no token's, no script's", async () => {
    const { token } = (await at.ask(["secrets:read:app/standard/*"])).body;
    for (const credential of [at.agent.api_key, token, at.tenant.admin]) {
      const answer = await ask({ authorization: `Bearer ${credential}` });
      expect([answer.status, answer.webSocket]).toEqual([403, null]);
      await answer.body?.cancel();
    }
  });
});
