import { env } from "cloudflare:workers";
import {
  createExecutionContext,
  evictDurableObject,
  runInDurableObject,
  waitOnExecutionContext,
} from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StoredEvent } from "../../../src/audit/event.ts";
import { openDatabase } from "../../../src/base/database.ts";
import { newId } from "../../../src/base/ids.ts";
import { Admission, TokenMemory } from "../../../src/tokens/admission.ts";
import type { CallOutcome, ChargeRequest, EventDraft } from "../../../src/tokens/charge.ts";
import type { Grant } from "../../../src/tokens/grant.ts";
import { TokenSigner } from "../../../src/tokens/token.ts";
import { createTenant } from "../support/tenant.ts";

const bindings = env as Env;
const ALLOWED = expect.objectContaining({ kind: "allowed" });
const LIMITED = { kind: "denied", reason: "concurrency" };

const EVENT: EventDraft = {
  event_type: "connection.called",
  resource_type: "connection",
  resource: "up",
  actor: "agent:test",
  ip_address: null,
  user_agent: null,
  outcome: "success",
  context: {},
};
const outcome = (seq: number): CallOutcome => ({ seq, status: 200, durationMs: 1, bytes: 1 });

const objectOf = (tokenId: string) => bindings.SCOPED_TOKEN.get(bindings.SCOPED_TOKEN.idFromName(tokenId));

afterEach(() => {
  vi.useRealTimers();
});

describe("attack 89: calls under way, as a token's object counts them", () => {
  /** A token's object of its own. */
  function token() {
    const tokenId = newId("token");
    const tenantId = newId("tenant");
    const request = (more: Partial<ChargeRequest> = {}): ChargeRequest => ({
      callId: newId("call"),
      tokenId,
      tenantId,
      epoch: 1,
      ip: "203.0.113.7",
      ipAllowlist: [],
      maxUses: null,
      rate: null,
      expiresAt: Date.now() + 3_600_000,
      event: EVENT,
      concurrency: { connection: "up", limit: 2 },
      ...more,
    });
    return {
      object: () => objectOf(tokenId),
      request,
      charge: (more?: Partial<ChargeRequest>) => objectOf(tokenId).charge(request(more)),
      async ledger(): Promise<StoredEvent[]> {
        const ledger = bindings.AUDIT_LEDGER.get(bindings.AUDIT_LEDGER.idFromName(tenantId));
        const { blocks } = await ledger.blocks({ from: 1, maxBlocks: 256 });
        return blocks.flatMap((block) => JSON.parse(block.events) as StoredEvent[]);
      },
    };
  }

  it("attack 89: the limit is exact, and one that has ended makes room for one", async () => {
    const { object, charge } = token();
    const verdicts = await Promise.all(Array.from({ length: 20 }, () => charge()));
    expect(verdicts.filter(({ kind }) => kind === "allowed").length).toBe(2);
    await object().settle([outcome(1)]);
    expect(await charge()).toEqual(ALLOWED);
    expect(await charge()).toEqual(LIMITED);
    // An end that is told with the charge counts before it.
    expect(await charge({ outcomes: [outcome(2)] })).toEqual(ALLOWED);
    expect(await charge()).toEqual(LIMITED);
    expect((await object().state()).uses).toBe(4);
  });

  it("attack 89: an end told twice makes room once", async () => {
    const { object, charge } = token();
    await charge();
    await charge();
    await object().settle([outcome(1), outcome(1)]);
    expect(await charge({ outcomes: [outcome(1)] })).toEqual(ALLOWED);
    expect(await charge({ outcomes: [outcome(1)] })).toEqual(LIMITED);
  });

  it("attack 89: a charge that is repeated is one call under way", async () => {
    const { object, request, charge } = token();
    const repeated = request();
    for (let time = 0; time < 5; time++) await object().charge(repeated);
    expect(await charge()).toEqual(ALLOWED);
    expect(await charge()).toEqual(LIMITED);
  });

  it("attack 89: a connection's calls take no room of another's, and what is not a call takes none", async () => {
    const { object, request, charge } = token();
    for (const connection of ["up", "other"]) {
      const concurrency = { connection, limit: 1 };
      expect(await charge({ concurrency })).toEqual(ALLOWED);
      expect(await charge({ concurrency })).toEqual(LIMITED);
    }
    for (let time = 0; time < 5; time++) {
      const { concurrency: _none, ...plain } = request();
      expect(await object().charge(plain)).toEqual(ALLOWED);
    }
    expect(await charge()).toEqual(ALLOWED);
  });

  it("attack 89: a call whose end is never told is forgotten after ten minutes", async () => {
    const { charge } = token();
    vi.useFakeTimers({ now: Date.now(), toFake: ["Date"] });
    await charge();
    vi.setSystemTime(Date.now() + 300_000);
    await charge();
    vi.setSystemTime(Date.now() + 299_000);
    expect(await charge()).toEqual(LIMITED);
    vi.setSystemTime(Date.now() + 2_000);
    expect(await charge()).toEqual(ALLOWED);
    expect(await charge()).toEqual(LIMITED);
  });

  it("an outcome that is told again, also after the object was evicted, is one line in the ledger", async () => {
    const { object, charge, ledger } = token();
    await charge();
    await expect.poll(async () => (await ledger()).length, { timeout: 8_000 }).toBe(1);
    await evictDurableObject(object());
    await object().settle([outcome(1)]);
    await charge({ outcomes: [outcome(1)] });
    await object().settle([outcome(1), outcome(2)]);
    await runInDurableObject(object(), (instance) => instance.alarm());
    const events = await ledger();
    expect(events.filter(({ event_type }) => event_type === "connection.completed").length).toBe(1);
  }, 15_000);
});

describe("outcomes that go along with the next charge", () => {
  let grant: Grant;
  beforeEach(async () => {
    const tenant = await createTenant();
    grant = await tenant.services.tokenUses.identify(await tenant.token());
  });

  /** One isolate; `fails`: how many charges get lost from now on. */
  function isolate() {
    const told: number[] = [];
    const carried: number[][] = [];
    const network = { fails: 0 };
    const context = createExecutionContext();
    const admission = new Admission({
      db: openDatabase(bindings),
      signer: new TokenSigner(bindings.TOKEN_SIGNING_KEYS),
      memory: new TokenMemory(),
      clock: () => Date.now(),
      waitUntil: (promise) => context.waitUntil(promise),
      object: (tokenId) => {
        const object = objectOf(tokenId);
        const charge = async (request: ChargeRequest) => {
          carried.push((request.outcomes ?? []).map(({ seq }) => seq));
          if (network.fails-- > 0) throw new Error("lost");
          return object.charge(request);
        };
        const settle = async (outcomes: readonly CallOutcome[]) => {
          told.push(...outcomes.map(({ seq }) => seq));
          return object.settle(outcomes);
        };
        return { charge, settle } as never;
      },
    });
    const charge = (limit = 1) =>
      admission.charge(grant, {
        callId: newId("call"),
        epoch: 1_000,
        ip: "203.0.113.7",
        event: EVENT,
        concurrency: { connection: "up", limit },
      });
    const end = (seq: number) => admission.settle(grant, outcome(seq));
    return { told, carried, network, charge, end, done: () => waitOnExecutionContext(context) };
  }

  it("attack 89: one call after the other is one at a time, and no message tells of the ends", async () => {
    const { told, carried, charge, end, done } = isolate();
    for (let call = 1; call <= 20; call++) {
      const verdict = await charge();
      expect(verdict).toEqual(ALLOWED);
      end(verdict.kind === "allowed" ? verdict.seq : 0);
    }
    await done();
    expect(carried).toEqual([[], ...Array.from({ length: 19 }, (_call, index) => [index + 1])]);
    expect(told).toEqual([20]);
  });

  it("attack 89: they are not lost with a charge that is, and go along with each of its attempts", async () => {
    const { told, carried, network, charge, end, done } = isolate();
    await charge();
    end(1);
    network.fails = 1;
    expect(await charge()).toEqual(ALLOWED);
    end(2);
    network.fails = 3;
    await expect(charge()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(await charge()).toEqual(ALLOWED);
    await done();
    expect(carried).toEqual([[], [1], [1], [2], [2], [2], [2]]);
    expect(told).toEqual([]);
  });

  it("are told by themselves where the charge they went along with is never answered", async () => {
    const { told, network, charge, end, done } = isolate();
    await charge();
    end(1);
    network.fails = 3;
    await expect(charge()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await done();
    expect(told).toEqual([1]);
  });
});
