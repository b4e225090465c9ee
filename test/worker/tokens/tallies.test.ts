import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { Tallies } from "../../../durable-objects/tallies.ts";
import { newId } from "../../../src/base/ids.ts";
import type { ChargeRequest } from "../../../src/tokens/charge.ts";
import type { Grant } from "../../../src/tokens/grant.ts";
import type { Tally } from "../../../src/tokens/permission.ts";
import { createGateway } from "../../../src/call-path.ts";
import { mint } from "../support/children.ts";
import { createTenant, type Tenant } from "../support/tenant.ts";

const objectOf = (tokenId: string) => {
  const { SCOPED_TOKEN } = env as Env;
  return SCOPED_TOKEN.get(SCOPED_TOKEN.idFromName(tokenId));
};
const kill = (tokenId: string): Promise<unknown> =>
  runInDurableObject(objectOf(tokenId), (_instance, state) => state.abort("killed by a test")).catch(
    () => undefined,
  );

describe("what a permission has used up", () => {
  let tenant: Tenant;
  const { admission } = createGateway(env as Env, "127.0.0.1:8787", () => undefined);
  beforeAll(async () => {
    tenant = await createTenant();
  });

  const request = (tokenId: string, callId: string, tallies: readonly Tally[]): ChargeRequest => ({
    ...{ callId, tokenId, tenantId: tenant.tenantId, epoch: 1, ip: "203.0.113.7", ipAllowlist: [] },
    ...{ maxUses: null, rate: null, expiresAt: Date.now() + 600_000, tallies },
    event: {
      ...{ event_type: "connection.called", resource_type: "connection", resource: "up" },
      ...{ actor: "agent:test", ip_address: null, user_agent: null, outcome: "success", context: {} },
    },
  });
  const amount = (key: string, value: number, max: number): Tally => ({ key, amount: value, max });
  const grantOf = (token: string): Promise<Grant> => tenant.services.tokenUses.identify(token);
  const charge = (grant: Grant, tallies: readonly Tally[]) =>
    admission.charge(grant, {
      ...{ callId: newId("call"), epoch: 1, ip: null, tallies },
      event: request("", "", []).event,
    });

  it("attack 63: of 500 parallel charges, exactly so many fit as the sum allows, killed in between or not", async () => {
    for (const kills of [0, 9]) {
      const tokenId = newId("token");
      let fitted = 0;
      for (let round = 0; round <= kills; round++) {
        const verdicts = await Promise.all(
          Array.from({ length: 500 / (kills + 1) }, (_, n) =>
            objectOf(tokenId).charge(request(tokenId, `call_${round}_${n}`, [amount("total", 3, 100)])),
          ),
        );
        fitted += verdicts.filter(({ kind }) => kind === "allowed").length;
        if (round < kills) await kill(tokenId);
      }
      expect(fitted).toBe(33);
      expect(
        await objectOf(tokenId).charge(request(tokenId, "call_last", [amount("total", 1, 100)])),
      ).toMatchObject({ kind: "allowed" });
      expect(
        await objectOf(tokenId).charge(request(tokenId, "call_over", [amount("total", 1, 100)])),
      ).toEqual({ kind: "denied", reason: "tally", key: "total" });
    }
  });

  it("a charge that does not fit in one sum adds to none, and costs no use", async () => {
    const tokenId = newId("token");
    const both = (first: number, second: number) => [amount("a", first, 10), amount("b", second, 10)];
    const object = objectOf(tokenId);
    expect(await object.charge(request(tokenId, "call_1", both(1, 11)))).toMatchObject({ key: "b" });
    expect(await object.charge(request(tokenId, "call_2", both(10, 10)))).toMatchObject({ uses: 1 });
    expect(await object.charge(request(tokenId, "call_3", both(0, 0)))).toMatchObject({ uses: 2 });
  });

  it("amounts that are none are refused", async () => {
    const object = objectOf(newId("token"));
    for (const value of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      const verdict = await object.charge(request("tok_x", `call_${value}`, [amount("a", value, 2 ** 53)]));
      expect(verdict).toMatchObject({ kind: "denied", reason: "tally" });
    }
  });

  it("one call id adds once, and a preview adds nothing", async () => {
    const tokenId = newId("token");
    const asked = request(tokenId, "call_1", [amount("a", 6, 10)]);
    const object = objectOf(tokenId);
    expect((await object.preview(asked)).verdict).toMatchObject({ kind: "allowed" });
    for (let n = 0; n < 3; n++)
      expect(await object.charge(asked)).toMatchObject({ kind: "allowed", uses: 1 });
    expect((await object.preview(asked)).verdict).toMatchObject({ reason: "tally", key: "a" });
  });

  it("a child of a permission's token shares its sums; another token's are its own", async () => {
    const root = await tenant.token();
    const child = await mint(root, {});
    const permission = {
      ...{ permissionId: newId("permission"), action: "x", resource: null, calls: null, constraints: [] },
      agreed: { approvals: 0, delaySeconds: 0 },
    };
    const [parent, below, other] = await Promise.all([
      grantOf(root),
      grantOf(child),
      grantOf(await tenant.token()),
    ]);
    const of = (grant: Grant | undefined): Grant => ({ ...(grant as Grant), permission });
    const tallies = [amount("total", 6, 10)];
    expect(await charge(of(below), tallies)).toMatchObject({ kind: "allowed" });
    expect(await charge(of(parent), tallies)).toEqual({ kind: "denied", reason: "tally", key: "total" });
    expect(await charge(of(other), tallies)).toMatchObject({ kind: "allowed" });
  });

  it("property: no sum ever goes beyond its maximum, and nothing that fits is refused", () => {
    const tally = fc.record({
      key: fc.constantFrom("a", "b", "__proto__"),
      amount: fc.nat({ max: 20 }),
      max: fc.constant(50),
    });
    const move = fc.oneof(fc.array(tally, { maxLength: 4 }), fc.constant("restart" as const));
    fc.assert(
      fc.property(fc.array(move, { maxLength: 40 }), (moves) => {
        let tallies = new Tallies();
        const model = new Map<string, number>();
        for (const each of moves) {
          if (each === "restart") {
            const { saved } = tallies;
            tallies = new Tallies();
            tallies.recover(saved && (JSON.parse(JSON.stringify(saved)) as typeof saved));
            continue;
          }
          const after = new Map(model);
          for (const { key, amount: value } of each) after.set(key, (after.get(key) ?? 0) + value);
          const fits = [...after.values()].every((sum) => sum <= 50);
          expect(tallies.refusal(each) === null).toBe(fits);
          if (!fits) continue;
          tallies.charge(each);
          for (const [key, sum] of after) model.set(key, sum);
        }
        expect(new Map(tallies.saved)).toEqual(model);
      }),
      { numRuns: 300 },
    );
  });
});
