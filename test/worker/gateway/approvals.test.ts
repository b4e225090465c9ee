import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bindings, send as ask } from "../api/door.ts";
import { countingEnv } from "../support/counting.ts";
import { ProofKey } from "../support/dpop.ts";
import { signedIn } from "../support/signed-in.ts";
import { call, isolate, ORIGIN } from "../support/tenant.ts";
import { watchDepartures } from "../failures/support.ts";
import { countCases, openScene, REFUND } from "./approvals-scene.ts";

let upstream: ReturnType<typeof watchDepartures>;
beforeEach(() => {
  upstream = watchDepartures();
});
afterEach(() => upstream.stop());

describe("a call that a policy wants people to approve", () => {
  it("is refused with what it waits for, charges nothing, and nothing leaves", async () => {
    const scene = await openScene({ message: "Refunds are Ada's." });
    const { status, headers, body } = await scene.send();
    expect(status).toBe(403);
    expect(body).toMatchObject({
      status: 403,
      error: { code: "APPROVAL_REQUIRED", approval_id: body.approval_id },
      ...{ requires_approval: true, approvals_needed: 1, not_before: null },
      approval_id: expect.stringMatching(/^apr_[0-9a-f]{24}$/),
      status_url: `/v1/approvals/agent/${body.approval_id}`,
      approval_url: `/approvals/${body.approval_id}`,
      why: expect.stringMatching(/^Refunds are Ada's\. Once it is approved, send exactly the same request/),
    });
    expect(Date.parse(body.expires_at)).toBeGreaterThan(Date.now());
    expect(headers.get("x-valetkey-error")).toBe("APPROVAL_REQUIRED");
    expect(headers.get("x-valetkey-approval")).toBe(body.approval_id);
    expect(headers.get("retry-after")).toBe("30");
    // No SDK is to ask again by itself.
    expect([headers.get("x-should-retry"), headers.get("stripe-should-retry")]).toEqual(["false", "false"]);
    expect(upstream.count()).toBe(0);
    expect(await scene.uses()).toBe(0);
    const denied = (await scene.events()).filter(({ event_type: type }) => type === "connection.denied");
    expect(denied.map(({ context }) => context)).toMatchObject([
      { reason: "APPROVAL_REQUIRED", approval_id: body.approval_id },
    ]);
  });

  it("asked for again it is the same approval, and people are shown it once", async () => {
    const scene = await openScene();
    const ids = [];
    for (let n = 0; n < 3; n++) ids.push((await scene.send()).body.approval_id);
    expect(new Set(ids).size).toBe(1);
    expect(await countCases(scene)).toBe(1);
  });

  it("people see the very call: what it does, its parts and its body", async () => {
    const scene = await openScene();
    const body = '{"charge":"ch_1", "amount":1e3, "note":"\\u202Etpircs"}';
    const refused = await scene.send("/v1/refunds?expand[]=charge", { ...REFUND, body });
    const { body: shown } = await ask("GET", `/v1/approvals/${refused.body.approval_id}`, {
      headers: scene.person.headers,
    });
    expect(shown.shown).toMatchObject({
      ...{ method: "POST", scheme: "http", host: "127.0.0.1:9", path: "/base/v1/refunds" },
      query: { fields: [{ name: "expand[]", value: "charge" }] },
      body: {
        kind: "json",
        text: body,
        fields: [
          { name: "charge", value: "ch_1" },
          { name: "amount", value: "1e3" },
          { name: "note", value: "⟨U+202E⟩tpircs" },
        ],
      },
      secrets: [{ path: "test/up/KEY", version: 1 }],
    });
  });

  it("approved, it goes through byte for byte, once, and the ledger names the approval", async () => {
    const scene = await openScene();
    const id = await scene.approved();
    const passed = await scene.send();
    expect(passed.status).toBe(200);
    expect(passed.headers.get("x-valetkey-approval")).toBe(id);
    expect(passed.arrived).toMatchObject({ method: "POST", url: "http://127.0.0.1:9/base/v1/refunds" });
    expect(passed.arrived?.body).toBe(REFUND.body);
    expect(await scene.uses()).toBe(1);
    const called = (await scene.events()).filter(({ event_type: type }) => type === "connection.called");
    expect(called.map(({ context }) => context["approval_id"])).toEqual([id]);
    const again = await scene.send();
    expect(again.body.error.code).toBe("APPROVAL_REQUIRED");
    expect(again.body.approval_id).not.toBe(id);
    expect(upstream.count()).toBe(1);
  });

  it("the same agent may send it with another token of its own, for the same purpose", async () => {
    const scene = await openScene();
    await scene.approved();
    const { response } = await call("/proxy/up/v1/refunds", await scene.tenant.token(), REFUND, isolate());
    expect(response.status).toBe(200);
    await response.text();
  });

  it("of a token that is bound to a key, it takes a proof of its own each time", async () => {
    const key = await ProofKey.make();
    const scene = await openScene({}, { dpop_jkt: key.thumbprint });
    const url = `${ORIGIN}/proxy/up/v1/refunds`;
    const proving = async (proof: string) =>
      scene.send("/v1/refunds", {
        ...REFUND,
        headers: { ...REFUND.headers, authorization: `DPoP ${scene.token}`, dpop: proof },
      });
    const asked = await proving(await key.proof("POST", url, scene.token));
    expect(asked.body.error.code).toBe("APPROVAL_REQUIRED");
    await scene.approve(asked.body.approval_id);
    const proof = await key.proof("POST", url, scene.token);
    expect((await proving(proof)).status).toBe(200);
    expect((await proving(proof)).status).not.toBe(200);
    expect(upstream.count()).toBe(1);
  });

  it("a call that no policy asks about asks nobody", async () => {
    const scene = await openScene({ condition: 'request.method == "DELETE"' });
    expect((await scene.send()).status).toBe(200);
    expect(await countCases(scene)).toBe(0);
  });

  it("denied, it is told so, with the reason, and is not asked for again", async () => {
    const scene = await openScene();
    const { body } = await scene.send();
    await scene.deny(body.approval_id, "wrong customer");
    const denied = await scene.send();
    expect(denied.status).toBe(403);
    expect(denied.body).toMatchObject({
      error: { code: "APPROVAL_DENIED", message: "A person has denied this call: wrong customer" },
      approval_id: body.approval_id,
    });
    expect(denied.body).not.toHaveProperty("requires_approval");
    expect(denied.headers.get("x-should-retry")).toBe("false");
    expect(await countCases(scene)).toBe(1);
    expect(upstream.count()).toBe(0);
  });

  it("approved with a delay, it says from when on it may be made, and is not made before", async () => {
    const scene = await openScene({ delay_seconds: 600 });
    const id = await scene.approved();
    const early = await scene.send();
    expect(early.body).toMatchObject({ error: { code: "APPROVAL_REQUIRED" }, approval_id: id });
    expect(Date.parse(early.body.not_before)).toBeGreaterThan(Date.now());
    const seconds = Number(early.headers.get("retry-after"));
    expect(seconds).toBeGreaterThan(500);
    expect(seconds).toBeLessThanOrEqual(600);
    expect(upstream.count()).toBe(0);
  });

  it("by two people, it waits for the second", async () => {
    const scene = await openScene({ approvals: 2 });
    const id = await scene.approved();
    const { body } = await scene.send();
    expect(body).toMatchObject({ approval_id: id, approvals_needed: 2 });
    await scene.approve(id, await signedIn(scene.tenant.tenantId, "admin"));
    expect((await scene.send()).status).toBe(200);
  });

  it("may be a download as well as a write", async () => {
    const scene = await openScene();
    await scene.approved("/v1/export?all=1", {});
    expect((await scene.send("/v1/export?all=1", {})).arrived?.url).toBe(
      "http://127.0.0.1:9/base/v1/export?all=1",
    );
  });

  it("however much of it has to be made visible, people are shown it", async () => {
    const scene = await openScene();
    const deceiving = Object.fromEntries(
      Array.from({ length: 200 }, (_, n) => [`f${n}`, "\u202E".repeat(1_000)]),
    );
    const { status, body } = await scene.send("/v1/refunds", { ...REFUND, body: JSON.stringify(deceiving) });
    expect([status, body.error.code]).toEqual([403, "APPROVAL_REQUIRED"]);
    const { status: seen } = await ask("GET", `/v1/approvals/${body.approval_id}`, {
      headers: scene.person.headers,
    });
    expect(seen).toBe(200);
  });

  it("has its body read whole, and up to a bound", async () => {
    const scene = await openScene();
    const large = "x".repeat(1024 * 1024 + 1);
    const refused = await scene.send("/v1/files", { method: "POST", body: large });
    expect(refused.status).toBe(413);
    expect(refused.body.error.code).toBe("BODY_TOO_LARGE");
    const fits = { method: "POST", body: large.slice(1) };
    await scene.approved("/v1/files", fits);
    expect((await scene.send("/v1/files", fits)).arrived?.body.length).toBe(1024 * 1024);
  });

  it("attack 29: that reads in two ways is shown to nobody", async () => {
    const scene = await openScene();
    const body = '{"amount":1,"amount":100000}';
    expect((await scene.send("/v1/refunds", { ...REFUND, body })).body.error.code).toBe("BODY_AMBIGUOUS");
    expect((await scene.send("/v1/refunds?a=1&a=2")).body.error.code).toBe("BODY_AMBIGUOUS");
    expect(await countCases(scene)).toBe(0);
  });

  it("as a WebSocket is refused plainly: what will be said over it is nothing that could be shown", async () => {
    const scene = await openScene();
    await scene.tenant.services.connections.update(scene.tenant.admin, "up", { websockets: true } as never);
    const refused = await scene.send("/v1/live", {
      headers: { upgrade: "websocket", connection: "upgrade" },
    });
    expect(refused.status).toBe(403);
    expect(refused.body.error.code).toBe("POLICY_DENIED");
    expect(await countCases(scene)).toBe(0);
  });

  it("asks nobody where it could not go on anyway: a revoked token, one without uses", async () => {
    const revoked = await openScene();
    await revoked.tenant.services.tokens.revoke(revoked.tenant.admin, revoked.tokenId as never);
    expect((await revoked.send()).status).toBe(401);
    expect(await countCases(revoked)).toBe(0);
    const used = await openScene({ condition: 'request.path == "/v1/refunds"' }, { max_uses: 1 });
    expect((await used.send("/v1/other", {})).status).toBe(200);
    expect((await used.send()).body.error.code).toBe("USES_EXHAUSTED");
    expect(await countCases(used)).toBe(0);
  });

  it("an agent that asks without end is told to wait, and keeps nobody else from the desk", async () => {
    const scene = await openScene();
    const { bindings, counts } = countingEnv();
    const statuses = [];
    for (let n = 0; n < 210; n++) {
      const { response } = await call("/proxy/up/v1/refunds", scene.token, REFUND, bindings);
      await response.text();
      statuses.push(response.status);
    }
    expect(statuses.slice(0, 190)).not.toContain(429);
    expect(statuses).toContain(429);
    expect(counts.objects.get("APPROVAL_DESK.find")).toBe(statuses.filter((status) => status === 403).length);
    const other = await openScene();
    expect((await other.send()).status).toBe(403);
  });

  it("an agent that asks for too much waits for answers first", async () => {
    const scene = await openScene();
    for (let n = 0; n < 20; n++) await scene.send(`/v1/refunds/${n}`);
    const refused = await scene.send("/v1/refunds/20");
    expect(refused.status).toBe(409);
    expect(refused.body.error.code).toBe("CONFLICT");
    expect(refused.headers.get("x-should-retry")).toBe("false");
  });
});

describe("what a caller prefers", () => {
  const preferring = (preference: string): RequestInit => ({
    ...REFUND,
    headers: { "content-type": "application/json", "x-valetkey-prefer": preference },
  });

  it("respond-async: the same answer as a 202", async () => {
    const scene = await openScene();
    const refused = await scene.send();
    const accepted = await scene.send("/v1/refunds", preferring("respond-async"));
    expect(accepted.status).toBe(202);
    expect(accepted.body).toMatchObject({ status: 202, approval_id: refused.body.approval_id });
    expect(accepted.body.error).toEqual(refused.body.error);
    expect(accepted.headers.get("x-valetkey-preference-applied")).toBe("respond-async");
    expect(accepted.headers.get("x-valetkey-error")).toBe("APPROVAL_REQUIRED");
  });

  it("wait: held open until people have approved, it goes through", async () => {
    const scene = await openScene();
    const { body } = await scene.send();
    const held = scene.send("/v1/refunds", preferring("wait=20"));
    await scheduler.wait(300);
    expect(upstream.count()).toBe(0);
    await scene.approve(body.approval_id);
    const passed = await held;
    expect(passed.status).toBe(200);
    expect(passed.arrived?.body).toBe(REFUND.body);
    expect(passed.arrived?.headers).not.toHaveProperty("x-valetkey-prefer");
    expect(upstream.count()).toBe(1);
  });

  it("wait: held open until people have denied, it says so; until it is over, that it waits", async () => {
    const scene = await openScene();
    const { body } = await scene.send();
    const held = scene.send("/v1/refunds", preferring("wait=20"));
    await scheduler.wait(300);
    await scene.deny(body.approval_id, "no");
    expect((await held).body.error.code).toBe("APPROVAL_DENIED");
    const other = await scene.send("/v1/refunds/2", preferring("wait=1"));
    expect(other.body).toMatchObject({ error: { code: "APPROVAL_REQUIRED" } });
    expect(other.headers.get("x-valetkey-preference-applied")).toBe("wait=1");
  });

  it("attack 89: wait: where 100 calls of its agent are held already it is told so, and nobody else is", async () => {
    const scene = await openScene();
    const { body } = await scene.send();
    const { tenantId } = scene.tenant;
    const desk = bindings.APPROVAL_DESK.get(bindings.APPROVAL_DESK.idFromName(tenantId));
    const held = Array.from({ length: 100 }, () => desk.decided(body.approval_id, "answered", 60_000));
    const refused = await scene.send("/v1/refunds", preferring("wait=20"));
    expect([refused.status, refused.body.error.code]).toEqual([429, "RATE_LIMITED"]);
    expect(refused.body.detail).toBe("This agent has 100 calls and requests waiting for people already.");
    expect(refused.headers.get("retry-after")).toBe("30");
    const denied = (await scene.events()).filter(({ event_type: type }) => type === "connection.denied");
    expect(denied.map(({ context }) => context)).toContainEqual(
      expect.objectContaining({ reason: "RATE_LIMITED", approval_id: body.approval_id }),
    );
    expect((await scene.send()).body).toMatchObject({ error: { code: "APPROVAL_REQUIRED" } });
    await scene.approve(body.approval_id);
    await Promise.all(held);
    expect((await scene.send("/v1/refunds", preferring("wait=20"))).status).toBe(200);
  });

  it("attack 79: what changed while a call was held is what it is decided on", async () => {
    const scene = await openScene();
    const { body } = await scene.send();
    const held = scene.send("/v1/refunds", preferring("wait=20"));
    await scheduler.wait(300);
    await scene.policy({ effect: "deny", name: "no more refunds" });
    await scene.approve(body.approval_id);
    expect((await held).body.error.code).toBe("POLICY_DENIED");
    expect(upstream.count()).toBe(0);
  });

  it("what is none is refused, whether people are asked or not, and never reaches the upstream", async () => {
    const scene = await openScene(null);
    const bad = await scene.send("/v1/refunds", preferring("wait=99"));
    expect([bad.status, bad.body.error.code]).toEqual([400, "VALIDATION_ERROR"]);
    const passed = await scene.send("/v1/refunds", preferring("wait=5, x=y"));
    expect(passed.arrived?.headers).not.toHaveProperty("x-valetkey-prefer");
  });
});
