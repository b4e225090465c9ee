import { afterAll, beforeAll, expect, test } from "vitest";
import { type Lab, openLab } from "./support.ts";

let lab: Lab;

beforeAll(async () => {
  lab = await openLab(() => ({ up: {} }));
});
afterAll(() => lab.close());

/** What breaks a line, turns text round or cannot be seen. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const FORGED = 'a\r\n2026-01-01 token.revoked admin\u2028\u0000\u001b[2Jtxt.\u202Eexe\u2066\u200b\ufeff"b';
/** Text as the bytes of its UTF-8, which is how a client sends it in a header. */
const wire = (text: string) => Buffer.from(text).toString("latin1");

interface Event {
  readonly event_type: string;
  readonly user_agent: string | null;
  readonly context: Readonly<Record<string, unknown>>;
}

async function events(): Promise<readonly Event[]> {
  return (await lab.tenant.admin.must("GET", "/v1/audit?limit=200")).events;
}

function strings(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => [name, ...strings(member)]);
}

test("attack 82: whatever a caller puts into a call, no line of the ledger is broken, turned round or hidden", async () => {
  const { tenantId, agent } = lab.tenant;
  const caller = await agent({ name: "text\u202E" }).catch(() => agent());
  const { token, tokenId } = await caller.issue(["connections:call:up"], {
    context: { reason: FORGED, workflow: "w\u2029x" },
    tool: `tool ${FORGED}`,
    user: `user ${FORGED}`,
  });
  const path = `/proxy/up/${encodeURIComponent("a\u202Eb\u2028c\u200d")}?q=%0d%0a`;
  const visible = "agent/1 \u202Etxt\u2066\u200b\u00ad";
  for (const userAgent of [wire(visible), "tab\there", "x".repeat(9_000)]) {
    const answer = await lab.send(path, {
      authorization: `Bearer ${token}`,
      headers: [`User-Agent: ${userAgent}`],
    });
    expect(answer.status).toBe(200);
  }
  // A denied call writes a line as well.
  await lab.send("/proxy/absent/x", {
    authorization: `Bearer ${token}`,
    headers: [`User-Agent: ${wire(visible)}`],
  });
  await expect
    .poll(async () => (await events()).filter(({ context }) => context["token_id"] === tokenId).length, {
      timeout: 9_000,
    })
    .toBeGreaterThanOrEqual(4);
  const all = await events();
  expect(all.flatMap(strings).filter((text) => HIDDEN.test(text))).toEqual([]);
  const own = all.filter(({ context }) => context["token_id"] === tokenId);
  // Nothing is lost either: what was there can be read, written out.
  expect(own.map(({ user_agent }) => user_agent)).toContainEqual(expect.stringContaining("\\u202etxt"));
  expect(own.map(({ context }) => context["reason"])).toContainEqual(
    expect.stringContaining("a\\u000d\\u000a2026"),
  );
  for (const { user_agent: text } of own) expect((text ?? "").length).toBeLessThanOrEqual(512);
  expect(tenantId).toMatch(/^ten_/);
});
