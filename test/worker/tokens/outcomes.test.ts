import { env } from "cloudflare:workers";
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { openDatabase } from "../../../src/base/database.ts";
import { Admission, TokenMemory } from "../../../src/tokens/admission.ts";
import type { CallOutcome } from "../../../src/tokens/charge.ts";
import type { Grant } from "../../../src/tokens/grant.ts";
import { TokenSigner } from "../../../src/tokens/token.ts";
import { createTenant } from "../support/tenant.ts";

const bindings = env as Env;

describe("the outcomes of a token's calls", () => {
  let grant: Grant;
  beforeEach(async () => {
    const tenant = await createTenant();
    grant = await tenant.services.tokenUses.identify(await tenant.token());
  });

  /** Requests of one isolate: each has a context of its own, and a dead one does nothing any more. */
  function requests() {
    const memory = new TokenMemory();
    const told: CallOutcome[][] = [];
    let now = 1_000_000;
    const request = (alive: boolean) => {
      const context = createExecutionContext();
      const admission = new Admission({
        db: openDatabase(bindings),
        signer: new TokenSigner(bindings.TOKEN_SIGNING_KEYS),
        memory,
        clock: () => now,
        waitUntil: (promise) => {
          if (alive) context.waitUntil(promise);
        },
        object: (tokenId) => {
          const object = bindings.SCOPED_TOKEN.get(bindings.SCOPED_TOKEN.idFromName(tokenId));
          const settle = async (outcomes: readonly CallOutcome[]) => {
            if (!alive) return new Promise<never>(() => undefined);
            told.push([...outcomes]);
            return object.settle(outcomes);
          };
          return { ...object, settle } as never;
        },
      });
      return {
        settle: (seq: number) => admission.settle(grant, { seq, status: 200, durationMs: 1, bytes: 1 }),
        done: () => waitOnExecutionContext(context),
      };
    };
    return { request, told, memory, pass: (ms: number) => (now += ms) };
  }

  it("are told together", async () => {
    const { request, told } = requests();
    const first = request(true);
    first.settle(1);
    request(true).settle(2);
    await first.done();
    expect(told.map((outcomes) => outcomes.map(({ seq }) => seq))).toEqual([[1, 2]]);
  });

  it("are told by a later request where the one that began has died", async () => {
    const { request, told, pass } = requests();
    request(false).settle(1);
    request(true).settle(2);
    pass(1_000);
    const next = request(true);
    next.settle(3);
    await next.done();
    expect(told.map((outcomes) => outcomes.map(({ seq }) => seq))).toEqual([[1, 2, 3]]);
  });

  it("do not pile up: so many that they fill a message are told at once", async () => {
    const { request, told } = requests();
    request(false).settle(1);
    const busy = request(true);
    for (let seq = 2; seq <= 1_200; seq++) busy.settle(seq);
    await busy.done();
    expect(told.flat()).toHaveLength(1_200);
    expect(Math.max(...told.map(({ length }) => length))).toBeLessThanOrEqual(500);
  });
});
