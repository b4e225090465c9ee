import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { send } from "../api/door.ts";
import { type Office, openOffice, WANTED } from "../permissions/fixtures.ts";

let at: Office;
beforeEach(async () => {
  at = await openOffice();
});
afterEach(() => {
  vi.useRealTimers();
});

async function trail(type: string) {
  const answer = await send("GET", `/v1/audit?event_type=${type}&limit=100`, {
    credential: at.tenant.auditor,
  });
  return answer.body.events as { context: Record<string, unknown>; actor: string; resource: string }[];
}

const ask = (body: object) =>
  send("POST", "/v1/tokens", { credential: at.agent.api_key, body: { ttl: "1m", ...body } });

async function deny(on: string, condition: string): Promise<string> {
  const body = { name: `no ${on}`, effect: "deny", on, condition };
  const made = await send("POST", "/v1/policies", { credential: at.tenant.admin, body });
  expect(made.status, made.text).toBe(201);
  return made.body.id;
}

describe("an agent that asks with its key for what it may not have", () => {
  test("stands in the trail with what it asked for and why it was refused, a flood as one", async () => {
    vi.useFakeTimers({ now: Date.UTC(2026, 10, 22, 12, 0, 10), toFake: ["Date"] });
    const scopes = ["secrets:read:prod/*"];
    for (let n = 0; n < 5; n++) expect((await ask({ scopes })).body.error.code).toBe("SCOPE_DENIED");
    await expect.poll(async () => (await trail("token.denied")).length).toBe(1);
    vi.setSystemTime(Date.now() + 60_000);
    await ask({ scopes });
    await expect.poll(async () => (await trail("token.denied")).length).toBe(2);
    expect(await trail("token.denied")).toMatchObject(
      [{ repeated_before: 4 }, {}].map((more) => ({
        ...{ actor: `agent:${at.agent.id}`, resource: at.agent.id },
        context: { reason: "SCOPE_DENIED", scopes, ...more },
      })),
    );
  });

  test("is told of with the policy that denied it, a token and a permission alike", async () => {
    const token = await deny("tokens", 'asked.tool == "deploy"');
    const permission = await deny("permissions", 'asked.resource == "ch_666"');
    expect((await ask({ scopes: ["connections:call:up"], tool: "deploy" })).body.error.code).toBe(
      "POLICY_DENIED",
    );
    const body = { action: "payment.refund", resource: "ch_666", scope: WANTED.scope };
    const asked = await send("POST", "/v1/permissions", { credential: at.agent.api_key, body });
    expect(asked.body.error?.code, asked.text).toBe("POLICY_DENIED");
    await expect
      .poll(async () => (await trail("token.denied")).map(({ context }) => context["policy_id"]))
      .toEqual([token]);
    await expect
      .poll(async () =>
        (await trail("permission.denied")).map(({ context }) => [
          ...[context["policy_id"], context["action"], context["asked_resource"]],
        ]),
      )
      .toEqual([[permission, "payment.refund", "ch_666"]]);
  });

  test("is not told of where it was only misspelt, or waits for people", async () => {
    expect((await ask({ scopes: ["nonsense"] })).status).toBe(400);
    expect((await ask({ scopes: ["connections:call:up"] })).status).toBe(201);
    await expect.poll(async () => (await trail("token.issued")).length).toBe(1);
    expect(await trail("token.denied")).toEqual([]);
  });
});
