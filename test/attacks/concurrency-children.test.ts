import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { reply } from "../support/hostile-upstream.ts";
import { type Lab, openLab } from "./support.ts";

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

interface Minted {
  readonly token: string;
  readonly token_id: string;
}

async function mint(parent: string, over: object = {}): Promise<Minted> {
  return lab.tenant.as(parent).must("POST", "/v1/tokens/child", { scopes: ["connections:call:up"], ...over });
}

/** How many of so many calls at once, by each token, the upstream answered. */
async function succeeded(tokens: readonly string[], each: number): Promise<number[]> {
  return Promise.all(
    tokens.map(async (token) => {
      const calls = Array.from({ length: each }, async () => {
        const answer = lab.send("/proxy/up/x", { authorization: `Bearer ${token}`, timeoutMs: 20_000 });
        return answer.then(({ status }) => status).catch(() => 0);
      });
      return (await Promise.all(calls)).filter((status) => status === 200).length;
    }),
  );
}

test("attack 63: of 500 requests in parallel with a token and its children, exactly so many reach the upstream", async () => {
  const root = await lab.tenant.issue(["connections:call:up"], { max_uses: 60 });
  const first = await mint(root.token, { max_uses: 20 });
  const second = await mint(root.token, { max_uses: 30 });
  const grandchild = await mint(second.token, { max_uses: 10 });
  const tokens = [root.token, first.token, second.token, grandchild.token];
  const [ofRoot = 0, ofFirst = 0, ofSecond = 0, ofGrandchild = 0] = await succeeded(tokens, PARALLEL / 4);
  expect(ofRoot + ofFirst + ofSecond + ofGrandchild).toBe(60);
  expect(ofFirst).toBeLessThanOrEqual(20);
  expect(ofSecond + ofGrandchild).toBeLessThanOrEqual(30);
  expect(ofGrandchild).toBeLessThanOrEqual(10);
  expect(lab.upstream.requests).toHaveLength(60);
  expect(await lab.tenant.uses(root.tokenId)).toBe(60);
});

test("attack 64: what children have used is known after the gateway was killed", async () => {
  const root = await lab.tenant.issue(["connections:call:up"], { max_uses: 9 });
  const child = await mint(root.token, { max_uses: 5 });
  expect(await succeeded([child.token], 3)).toEqual([3]);
  await lab.gateway.kill();
  await lab.gateway.restart();
  expect(await succeeded([child.token], 10)).toEqual([2]);
  expect(await succeeded([root.token], 10)).toEqual([4]);
});

test("attack 57: a child is refused once its parent was revoked, and says no more than any dead token", async () => {
  const root = await lab.tenant.issue(["connections:call:up"]);
  const child = await mint(root.token);
  expect(await succeeded([child.token], 1)).toEqual([1]);
  await lab.tenant.admin.must("DELETE", `/v1/tokens/${root.tokenId}`);
  const [dead, never] = await Promise.all(
    [child.token, "vkt_x"].map((token) => lab.send("/proxy/up/x", { authorization: `Bearer ${token}` })),
  );
  expect([dead?.status, never?.status]).toEqual([401, 401]);
});
