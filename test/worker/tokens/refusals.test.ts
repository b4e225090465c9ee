import { beforeAll, describe, expect, it } from "vitest";
import { countRows, newTenant, outboxEmpty, send } from "../api/door.ts";

/** But for events on their way to the trail: what is refused for want of a right is told there. */
async function countKept(): Promise<Record<string, number>> {
  const { audit_outbox: _, ...rows } = await countRows();
  return rows;
}

const GOOD = { scopes: ["connections:call:up"], ttl: "30m" };

/** What is wrong, the body, and what the refusal must name. */
const BAD: readonly [what: string, body: unknown, named: string][] = [
  ["no scopes", { ttl: "30m" }, "scopes"],
  ["an empty list of scopes", { ...GOOD, scopes: [] }, "scopes"],
  ["a scope that does not exist", { ...GOOD, scopes: ["everything:*:*"] }, "connections:call:stripe"],
  ["a scope for rotation", { ...GOOD, scopes: ["secrets:rotate:a/*"] }, "connections:call:stripe"],
  ["a scope that is no text", { ...GOOD, scopes: [7] }, "scopes"],
  ["an over-long scope", { ...GOOD, scopes: [`secrets:use:${"a".repeat(600)}`] }, "scopes"],
  ["no ttl", { scopes: GOOD.scopes }, "ttl"],
  ["a ttl without a unit", { ...GOOD, ttl: "30" }, '"30m"'],
  ["a ttl in words", { ...GOOD, ttl: "an hour" }, '"30m"'],
  ["a ttl beyond a day", { ...GOOD, ttl: "25h" }, "86400"],
  ["a negative ttl", { ...GOOD, ttl: "-5m" }, '"30m"'],
  ["no uses at all", { ...GOOD, max_uses: 0 }, "max_uses"],
  ["half a use", { ...GOOD, max_uses: 1.5 }, "max_uses"],
  ["uses as text", { ...GOOD, max_uses: "1" }, "max_uses"],
  ["everybody as an address", { ...GOOD, ip_allowlist: ["0.0.0.0/0"] }, "/0"],
  ["host bits in a CIDR", { ...GOOD, ip_allowlist: ["10.0.0.1/8"] }, "10.0.0.0/8"],
  ["leading zeros in an address", { ...GOOD, ip_allowlist: ["010.0.0.1"] }, "10.0.1.50"],
  ["a name for an address", { ...GOOD, ip_allowlist: ["localhost"] }, "10.0.1.50"],
  ["a rate without a unit", { ...GOOD, rate: "60" }, '"60/m"'],
  ["a method in small letters", { ...GOOD, allow: [{ connection: "up", methods: ["get"] }] }, "POST"],
  ["a path without a slash", { ...GOOD, allow: [{ connection: "up", paths: ["v1"] }] }, "/v1/charges/*"],
  ["an unknown field", { ...GOOD, admin: true }, "admin"],
  ["an unknown field in the context", { ...GOOD, context: { note: "x" } }, "note"],
  ["a list for a body", [GOOD], ""],
  ["text for a body", "scopes=x", ""],
];

describe("POST /v1/tokens", () => {
  let tenant: Awaited<ReturnType<typeof newTenant>>;
  let key: string;
  beforeAll(async () => {
    tenant = await newTenant();
    const made = await send("POST", "/v1/agents", {
      credential: tenant.admin,
      body: { name: "a", allowed_scopes: ["connections:call:up"], ip_allowlist: ["192.0.2.0/24"] },
    });
    key = made.body.api_key;
    await outboxEmpty();
  });

  it.each(BAD)("refuses %s, says what would do, and writes nothing", async (_what, body, named) => {
    const before = await countRows();
    const answer = await send("POST", "/v1/tokens", { credential: key, body });
    expect([answer.status, answer.body.error.code]).toEqual([400, "VALIDATION_ERROR"]);
    expect(JSON.stringify(answer.body)).toContain(JSON.stringify(named).slice(1, -1));
    expect(await countRows()).toEqual(before);
  });

  it.each([
    ["a scope outside the agent's", { ...GOOD, scopes: ["connections:call:other"] }],
    ["a wider pattern than the agent's", { ...GOOD, scopes: ["connections:call:*"] }],
    ["an address outside the agent's", { ...GOOD, ip_allowlist: ["198.51.100.7"] }],
  ])("refuses %s and writes nothing but that", async (_what, body) => {
    const before = await countKept();
    const answer = await send("POST", "/v1/tokens", { credential: key, body });
    expect([answer.status, answer.body.error.code]).toEqual([403, "SCOPE_DENIED"]);
    expect(answer.body.why).toMatch(/agent's/);
    expect(await countKept()).toEqual(before);
  });

  it("refuses 10 MB of JSON and writes nothing", async () => {
    const before = await countKept();
    const body = `{"scopes": ["${"a".repeat(10 * 1024 * 1024)}"]}`;
    const answer = await send("POST", "/v1/tokens", { credential: key, body });
    expect([answer.status, answer.body.error.code]).toEqual([413, "BODY_TOO_LARGE"]);
    expect(await countKept()).toEqual(before);
  });

  it("takes what is right", async () => {
    const answer = await send("POST", "/v1/tokens", { credential: key, body: GOOD });
    expect(answer.status).toBe(201);
    expect(answer.body.token).toMatch(/^vkt_[0-9A-Za-z]{96}$/);
    expect(answer.body.token_id).toMatch(/^tok_[0-9a-f]{24}$/);
  });
});
