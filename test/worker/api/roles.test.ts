import { beforeAll, describe, expect, test } from "vitest";
import type { Role } from "../../../src/identity/caller.ts";
import { countRows, newTenant, outboxEmpty, ROLES, send } from "./door.ts";

const ALL: readonly Role[] = ROLES;

/** Who may call what; everyone else is refused. */
const ROUTES: [method: string, path: string, allowed: readonly Role[], body?: object][] = [
  ["GET", "/v1/me", ALL],
  ["GET", "/v1/agents", ALL],
  ["GET", "/v1/agents/{agent}", ALL],
  ["POST", "/v1/agents", ["admin"], { name: "another" }],
  ["PATCH", "/v1/agents/{agent}", ["admin"], { name: "renamed" }],
  ["POST", "/v1/agents/{agent}/keys", ["admin"], {}],
  ["DELETE", "/v1/agents/{agent}/keys/{key}", ["admin"]],
  ["DELETE", "/v1/agents/{agent}", ["admin"]],
  ["GET", "/v1/tenant", ["admin"]],
  ["PATCH", "/v1/tenant", ["admin"], { reveal: "deny" }],
  ["POST", "/v1/freeze", ["admin", "editor"], { frozen: false, reason: "a test" }],
  ["GET", "/v1/audit", ["auditor", "admin"]],
];

describe("attack 87: every role on every route", () => {
  let tenant: Awaited<ReturnType<typeof newTenant>>;
  beforeAll(async () => {
    tenant = await newTenant();
  });

  const newAgent = async () =>
    (await send("POST", "/v1/agents", { credential: tenant.admin, body: { name: "a" } })).body;

  test.each(ROUTES)("attack 87: %s %s", async (method, path, allowed, body) => {
    const agent = await newAgent();
    const target = path.replace("{agent}", agent.id).replace("{key}", agent.key_id);
    await outboxEmpty();
    const before = await countRows();
    for (const role of ROLES.filter((one) => !allowed.includes(one))) {
      const answer = await send(method, target, { credential: tenant[role], body });
      expect([answer.status, answer.body.error.code], role).toEqual([403, "ROLE_DENIED"]);
      expect(answer.body.detail).toContain(allowed.join(" or "));
      expect(answer.body.detail).toContain(role);
    }
    if (allowed !== ALL) {
      const answer = await send(method, target, { credential: agent.api_key, body });
      expect([answer.status, answer.body.error.code], "an agent key").toEqual([403, "ROLE_DENIED"]);
    }
    expect(await countRows()).toEqual(before);
    // The last one first: deleting works once.
    const role = allowed.at(-1) ?? "admin";
    const answer = await send(method, target, { credential: tenant[role], body });
    expect(answer.status, role).toBeLessThan(300);
  });

  test("attack 87: the role is checked before the body is read", async () => {
    const answer = await send("POST", "/v1/agents", { credential: tenant.viewer, body: "{" });
    expect(answer.body.error.code).toBe("ROLE_DENIED");
  });

  test("an agent may ask who it is", async () => {
    const agent = await newAgent();
    expect((await send("GET", "/v1/me", { credential: agent.api_key })).status).toBe(200);
  });
});
