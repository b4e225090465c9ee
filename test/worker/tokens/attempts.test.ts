import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { openDatabase } from "../../../src/base/database.ts";
import { newId } from "../../../src/base/ids.ts";
import { Admission, TokenMemory } from "../../../src/tokens/admission.ts";
import { TokenSigner } from "../../../src/tokens/token.ts";
import { createTenant } from "../support/tenant.ts";

const bindings = env as Env;

it("a charge that is not answered is asked for at most twice more, and all of it ends within 3 s", async () => {
  const tenant = await createTenant();
  const grant = await tenant.services.tokenUses.identify(await tenant.token());
  for (const [takes, expected] of [
    [0, [3_000, 3_000, 3_000]],
    [1_000, [3_000, 2_000, 1_000]],
    [1_400, [3_000, 1_600, 200]],
    [2_999, [3_000, 1]],
    [3_000, [3_000]],
  ] as const) {
    let now = 1_000_000;
    const limits: number[] = [];
    const admission = new Admission({
      db: openDatabase(bindings),
      signer: new TokenSigner(bindings.TOKEN_SIGNING_KEYS),
      memory: new TokenMemory(),
      clock: () => now,
      waitUntil: () => undefined,
      object: () => ({ charge: () => new Promise(() => undefined) }) as never,
    });
    const late = (milliseconds: number) => {
      limits.push(milliseconds);
      now += Math.min(takes, milliseconds);
      return Promise.reject(new Error("no answer in time"));
    };
    const charge = { callId: newId("call"), epoch: 1, ip: "203.0.113.7", event: EVENT };
    await expect(admission.charge(grant, charge, late)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(limits).toEqual(expected);
  }
});

const EVENT = {
  event_type: "connection.called",
  resource_type: "connection",
  resource: "up",
  actor: "agent:test",
  ip_address: null,
  user_agent: null,
  outcome: "success",
  context: {},
} as const;
