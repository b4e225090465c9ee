import { afterEach, expect, test, vi } from "vitest";
import { sweep } from "../../../src/sweep.ts";
import { bindings, send } from "../api/door.ts";
import { json, openOffice, REFUND, WANTED } from "./fixtures.ts";

afterEach(() => void vi.useRealTimers());

test("what time has ended is written down by the sweep, used ones stay used", async () => {
  const at = await openOffice([REFUND]);
  const used = await at.granted();
  await at.refund(used.token);
  await at.line("permission.used", used.id);
  const late = await at.granted({ ...WANTED, resource: "ch_2" });
  const waiting = await at.ask({ ...WANTED, resource: "ch_3" });
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 2 * 3_600_000 });
  const background: Promise<unknown>[] = [];
  await sweep(bindings, (promise) => void background.push(promise));
  await Promise.all(background);
  for (const id of [late.id, waiting.body.id]) {
    expect(await at.line("permission.expired", id)).toMatchObject({ actor: "system", outcome: "success" });
  }
  const statuses = await Promise.all(
    [used.id, late.id, waiting.body.id].map(
      async (id) =>
        (await send("GET", `/v1/permissions/${id}`, { credential: at.tenant.viewer })).body.status,
    ),
  );
  expect(statuses).toEqual(["used", "expired", "expired"]);
});

test("attack 88: fields and texts without end are refused, not looked through", async () => {
  const at = await openOffice([
    {
      name: "many.things",
      calls: { connection: "up", methods: ["POST"], paths: ["/many"] },
      constraints: {
        names: { kind: "pattern", field: "body.items[].name", cap: "^[a-z]*$" },
        total: { kind: "max_total", field: "body.items[].n", cap: 1_000_000 },
      },
      max_uses: 100,
    },
  ]);
  const { token } = await at.granted({ action: "many.things", max_uses: 100 });
  const item = (name: string) => ({ name, n: 1 });
  const many = (count: number, each: object) => ({ items: Array.from({ length: count }, () => each) });
  const wide = Object.fromEntries(Array.from({ length: 900 }, (_, n) => [`f${n}`, 1]));
  const code = async (body: object) => (await at.make(token, "up/many", json(body))).code;
  expect(await code(many(1_000, item("a")))).toBeNull();
  expect(await code(many(1_001, item("a")))).toBe("PERMISSION_DENIED");
  expect(await code(many(30, { ...item("a"), ...wide }))).toBe("PERMISSION_DENIED");
  expect(await code({ ...many(1, item("a")), ["x".repeat(600)]: 1 })).toBe("PERMISSION_DENIED");
  expect(await code(many(1, item("a".repeat(300_000))))).toBe("PERMISSION_DENIED");
  expect(await code(many(1, item("a".repeat(30_000))))).toBeNull();
});
