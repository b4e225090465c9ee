import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { send as ask } from "../api/door.ts";
import { jump, watchDepartures } from "../failures/support.ts";
import { failingEnv } from "../support/failing.ts";
import { call } from "../support/tenant.ts";
import { answered, countCases, openScene, REFUND, type Scene } from "./approvals-scene.ts";

let upstream: ReturnType<typeof watchDepartures>;
beforeEach(() => {
  upstream = watchDepartures();
});
afterEach(() => {
  upstream.stop();
  vi.useRealTimers();
});

const DOWN = new Error("Network connection lost.");

/** An isolate of its own, whose objects can be made to fail, and which keeps its lease from call to call. */
function isolateOf({ token }: Scene) {
  const failing = failingEnv();
  return {
    ...failing,
    async send(path = "/v1/refunds", init = REFUND) {
      const { response } = await call(`/proxy/up${path}`, token, init, failing.bindings);
      return answered(response);
    },
  };
}

const FREE = "/v1/free";
const REFUNDS = { condition: 'request.path == "/v1/refunds"' };

describe("attack 76: an approval lets one call through, whatever happens in between", () => {
  it("attack 76: of 50 calls at the same time exactly one leaves", async () => {
    const scene = await openScene();
    const id = await scene.approved();
    const isolates = [isolateOf(scene), isolateOf(scene), isolateOf(scene)];
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) => isolates[n % isolates.length]?.send()),
    );
    expect(answers.filter((answer) => answer?.status === 200)).toHaveLength(1);
    expect(upstream.count()).toBe(1);
    expect(await scene.uses()).toBe(1);
    const others = answers.filter((answer) => answer?.status !== 200);
    expect(new Set(others.map((answer) => answer?.body.error.code))).toEqual(new Set(["APPROVAL_REQUIRED"]));
    const ids = new Set(others.map((answer) => answer?.body.approval_id));
    expect(ids.size).toBe(1);
    expect(ids).not.toContain(id);
  });

  it("attack 76: whoever held the call open with it gets it, nobody else", async () => {
    const scene = await openScene();
    const { body } = await scene.send();
    const held = Array.from({ length: 8 }, () =>
      scene.send("/v1/refunds", { ...REFUND, headers: { ...REFUND.headers, "x-valetkey-prefer": "wait=4" } }),
    );
    await scheduler.wait(500);
    await scene.approve(body.approval_id);
    const passed = (await Promise.all(held)).filter(({ status }) => status === 200);
    expect(passed).toHaveLength(1);
    expect(upstream.count()).toBe(1);
  });

  it("attack 76: an answer of the desk's that got lost is asked for again, and is the same", async () => {
    const scene = await openScene();
    await scene.approved();
    const { faults, calls, send } = isolateOf(scene);
    let lost = 0;
    faults.object = async (called, pass) => {
      const answer = await pass();
      if (called === "APPROVAL_DESK.consume" && lost++ === 0) throw DOWN;
      return answer;
    };
    expect((await send()).status).toBe(200);
    expect(calls.filter((called) => called === "APPROVAL_DESK.consume")).toHaveLength(2);
    expect(upstream.count()).toBe(1);
  });

  it("attack 76: after its time it is none, and the call is asked for anew", async () => {
    const scene = await openScene();
    const id = await scene.approved();
    jump(16 * 60_000);
    const fresh = await call(
      "/proxy/up/v1/refunds",
      await scene.tenant.token(),
      REFUND,
      isolateOf(scene).bindings,
    );
    const { body } = await answered(fresh.response);
    expect(body.error?.code).toBe("APPROVAL_REQUIRED");
    expect(body.approval_id).not.toBe(id);
    expect(upstream.count()).toBe(0);
  });

  it("attack 76: the call left and nobody knows what became of it: it is used up", async () => {
    const scene = await openScene();
    const id = await scene.approved();
    upstream.stop();
    const broken = vi.spyOn(globalThis, "fetch").mockRejectedValueOnce(DOWN);
    expect((await scene.send()).body.error.code).toBe("UPSTREAM_FAILED");
    expect(broken).toHaveBeenCalledTimes(1);
    broken.mockRestore();
    const again = await scene.send();
    expect(again.body.error.code).toBe("APPROVAL_REQUIRED");
    expect(again.body.approval_id).not.toBe(id);
  });

  it("attack 76: the gateway died between using it up and the charge: nothing left, and it is used up", async () => {
    const scene = await openScene();
    const id = await scene.approved();
    const { faults, send } = isolateOf(scene);
    faults.object = (called, pass) =>
      called === "SCOPED_TOKEN.charge" || called === "APPROVAL_DESK.release" ? Promise.reject(DOWN) : pass();
    expect((await send()).status).toBe(503);
    const again = await scene.send();
    expect(again.body.error.code).toBe("APPROVAL_REQUIRED");
    expect(again.body.approval_id).not.toBe(id);
    expect(upstream.count()).toBe(0);
  });

  it("attack 76: given back late, it is not freed of the same call that has claimed it again", async () => {
    const scene = await openScene(REFUNDS);
    await scene.approved();
    const slow = isolateOf(scene);
    const stalled: (() => Promise<unknown>)[] = [];
    let second: string | null = null;
    let isRemoved = false;
    slow.faults.object = async (called, pass) => {
      if (called === "SCOPED_TOKEN.charge" && second === null) {
        second = await scene.policy({ ...REFUNDS, approvals: 2 });
        // The token's object has seen the change by another call: this one is decided anew.
        expect((await scene.send(FREE, {})).status).toBe(200);
      }
      if (called === "APPROVAL_DESK.release") {
        stalled.push(pass);
        throw DOWN;
      }
      if (called === "APPROVAL_DESK.decided" && !isRemoved) {
        isRemoved = true;
        // While people are asked by both, one goes again: what was claimed first is needed once more.
        const { headers } = scene.person;
        expect((await ask("DELETE", `/v1/policies/${second}`, { headers })).status).toBe(204);
        throw DOWN;
      }
      return pass();
    };
    const headers = { ...REFUND.headers, "x-valetkey-prefer": "wait=2" };
    await slow.send("/v1/refunds", { ...REFUND, headers });
    expect(stalled.length).toBeGreaterThan(0);
    for (const release of stalled) await release();
    await scene.send();
    await scene.send();
    // One is the call that no policy asks about.
    expect(upstream.count() - 1).toBeLessThanOrEqual(1);
  });
});

describe("an approval that was claimed for nothing", () => {
  it("is given back where the use could not be recorded", async () => {
    const scene = await openScene();
    const id = await scene.approved();
    const { faults, send } = isolateOf(scene);
    faults.object = (called, pass) => (called === "SCOPED_TOKEN.charge" ? Promise.reject(DOWN) : pass());
    expect((await send()).status).toBe(503);
    expect(upstream.count()).toBe(0);
    const passed = await scene.send();
    expect(passed.headers.get("x-valetkey-approval")).toBe(id);
    expect(upstream.count()).toBe(1);
  });

  it("is given back where the charge is refused", async () => {
    const scene = await openScene(REFUNDS, { max_uses: 1 });
    await scene.approved();
    const { faults, send, calls } = isolateOf(scene);
    faults.object = async (called, pass) => {
      // Somebody else is faster with the last use.
      if (called === "APPROVAL_DESK.consume") expect((await scene.send(FREE, {})).status).toBe(200);
      return pass();
    };
    expect((await send()).body.error.code).toBe("USES_EXHAUSTED");
    expect(calls).toContain("APPROVAL_DESK.release");
    const other = await call(
      "/proxy/up/v1/refunds",
      await scene.tenant.token(),
      REFUND,
      isolateOf(scene).bindings,
    );
    expect(other.response.status).toBe(200);
    await other.response.text();
  });
});

describe("attack 79: a call that was decided on something older", () => {
  it("attack 79: uses no approval up before it knows that nothing has changed", async () => {
    const scene = await openScene({ ...REFUNDS, name: "refunds" });
    const slow = isolateOf(scene);
    expect((await slow.send(FREE, {})).status).toBe(200);
    const id = await scene.approved();
    await scene.policy({ ...REFUNDS, approvals: 2 });
    jump(60_000);
    slow.calls.length = 0;
    const refused = await slow.send();
    expect(refused.body).toMatchObject({ error: { code: "APPROVAL_REQUIRED" }, approvals_needed: 2 });
    expect(refused.body.approval_id).not.toBe(id);
    expect(slow.calls).not.toContain("APPROVAL_DESK.consume");
    expect(upstream.count()).toBe(1);
  });

  it("attack 79: charged before it is known that people are to be asked: nothing leaves", async () => {
    const scene = await openScene(null);
    const slow = isolateOf(scene);
    expect((await slow.send()).status).toBe(200);
    await scene.policy();
    jump(60_000);
    const refused = await slow.send();
    expect(refused.body.error.code).toBe("UNAVAILABLE");
    expect(upstream.count()).toBe(1);
    const asked = await slow.send();
    expect(asked.body.error.code).toBe("APPROVAL_REQUIRED");
    expect(await countCases(scene)).toBe(1);
  });

  it("attack 79: changed between using the approval up and the charge: decided anew, and it is given back", async () => {
    const scene = await openScene(REFUNDS);
    const id = await scene.approved();
    const slow = isolateOf(scene);
    let changed = false;
    slow.faults.object = async (called, pass) => {
      if (called === "SCOPED_TOKEN.charge" && !changed) {
        changed = true;
        await scene.policy({ ...REFUNDS, approvals: 3 });
        // The token's object has seen the change by another call.
        expect((await scene.send(FREE, {})).status).toBe(200);
      }
      return pass();
    };
    const refused = await slow.send();
    expect(refused.body).toMatchObject({ error: { code: "APPROVAL_REQUIRED" }, approvals_needed: 3 });
    expect(refused.body.approval_id).not.toBe(id);
    expect(slow.calls).toContain("APPROVAL_DESK.release");
    expect(upstream.count()).toBe(1);
  });
});

describe("while the desk is away", () => {
  it("a call that needs people is refused for now, and leaves nothing behind", async () => {
    const scene = await openScene(REFUNDS);
    const { faults, send, calls } = isolateOf(scene);
    faults.object = (called, pass) => (called.startsWith("APPROVAL_DESK") ? Promise.reject(DOWN) : pass());
    const refused = await send();
    expect([refused.status, refused.body.error.code]).toEqual([503, "UNAVAILABLE"]);
    expect(upstream.count()).toBe(0);
    expect(await scene.uses()).toBe(0);
    calls.length = 0;
    expect((await send(FREE, {})).status).toBe(200);
    expect(calls.filter((called) => called.startsWith("APPROVAL_DESK"))).toEqual([]);
  });
});
