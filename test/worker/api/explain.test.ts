import { beforeAll, describe, expect, test } from "vitest";
import { newId } from "../../../src/base/ids.ts";
import { newTenant, send } from "./door.ts";

const HOUR = { scopes: ["connections:call:up"], ttl: "1h" };

async function world() {
  const tenant = await newTenant();
  const agent = async () => {
    const body = { name: "a", allowed_scopes: ["connections:call:*"] };
    return (await send("POST", "/v1/agents", { credential: tenant.admin, body })).body;
  };
  const [first, second] = [await agent(), await agent()];
  const issue = async (key: string) =>
    (await send("POST", "/v1/tokens", { credential: key, body: HOUR })).body as {
      token: string;
      token_id: string;
    };
  const [own, sibling, other] = [
    await issue(first.api_key),
    await issue(first.api_key),
    await issue(second.api_key),
  ];
  return { tenant, agentKey: first.api_key as string, own, sibling, other };
}

let here: Awaited<ReturnType<typeof world>>;
let away: Awaited<ReturnType<typeof world>>;
beforeAll(async () => {
  [here, away] = [await world(), await world()];
});

const URL_HERE = { url: "/proxy/up/v1/x" };
const ask = (credential: string, body: object) =>
  send("POST", "/v1/explain", { credential, body: { ...URL_HERE, ...body } });

describe("who may ask what would become of a call", () => {
  test("a token about itself, by nothing, its text or its id", async () => {
    const { token, token_id } = here.own;
    for (const body of [{}, { token }, { token_id }]) {
      const answer = await ask(token, body);
      expect([answer.status, answer.body.code, answer.body.token.token_id]).toEqual([
        200,
        "NOT_FOUND",
        token_id,
      ]);
    }
  });

  test("its agent, and the members who may see tokens", async () => {
    const { token_id, token } = here.own;
    for (const credential of [here.agentKey, here.tenant.admin, here.tenant.editor, here.tenant.viewer]) {
      for (const body of [{ token }, { token_id }]) {
        const answer = await ask(credential, body);
        expect([answer.status, answer.body.outcome, answer.body.status]).toEqual([200, "refused", 404]);
      }
    }
  });

  test("attack 73: whatever is not theirs is like one that does not exist", async () => {
    const missing = await ask(here.tenant.admin, { token_id: newId("token") });
    expect([missing.status, missing.body.error.code]).toEqual([404, "NOT_FOUND"]);
    const attempts: [credential: string, body: object][] = [
      [here.tenant.admin, { token_id: away.own.token_id }],
      [here.tenant.admin, { token: away.own.token }],
      [here.tenant.admin, { token: "vkt_x" }],
      [here.agentKey, { token_id: here.other.token_id }],
      [here.agentKey, { token: here.other.token }],
      [here.agentKey, { token_id: away.own.token_id }],
      [here.own.token, { token_id: here.sibling.token_id }],
      [here.own.token, { token: here.sibling.token }],
      [here.own.token, { token: away.own.token }],
    ];
    for (const [credential, body] of attempts) {
      const answer = await ask(credential, body);
      expect([answer.status, answer.body.detail]).toEqual([404, missing.body.detail]);
    }
  });

  test("a member or an agent must say which token", async () => {
    for (const credential of [here.tenant.viewer, here.agentKey]) {
      const answer = await ask(credential, {});
      expect([answer.status, answer.body.error.code]).toEqual([400, "VALIDATION_ERROR"]);
    }
    const both = await ask(here.tenant.viewer, { token: here.own.token, token_id: here.own.token_id });
    expect(both.status).toBe(400);
  });

  test("a member asks from the address that they say", async () => {
    const body = { scopes: ["connections:call:up"], ttl: "1h", ip_allowlist: ["198.51.100.0/24"] };
    const { token_id } = (await send("POST", "/v1/tokens", { credential: here.agentKey, body })).body;
    const there = await ask(here.tenant.viewer, { token_id, ip_address: "198.51.100.7" });
    expect([there.body.code, there.body.token.ip_ok]).toEqual(["NOT_FOUND", true]);
    const elsewhere = await ask(here.tenant.viewer, { token_id });
    expect([elsewhere.body.code, elsewhere.body.token.ip_ok]).toEqual(["ADDRESS_DENIED", false]);
    expect((await ask(here.tenant.viewer, { token_id, ip_address: "somewhere" })).status).toBe(400);
  });
});
