import { describe, expect, test } from "vitest";
import { respondChange } from "../../../src/base/respond-change.ts";

const exchange = (prefer?: string) => ({
  req: { raw: new Request("https://gateway.example/", { headers: prefer === undefined ? {} : { prefer } }) },
});

async function respond(prefer: string | undefined, remainingMs: number) {
  const start = Date.now();
  const response = await respondChange(
    exchange(prefer),
    { id: "x" },
    { effectiveAt: start + remainingMs },
    201,
  );
  return { response, waitedMs: Date.now() - start };
}

describe("answering a change", () => {
  test("tells from when it holds, without waiting", async () => {
    const { response, waitedMs } = await respond(undefined, 60_000);
    expect(response.status).toBe(201);
    const body = await response.json<{ id: string; effective_at: string }>();
    expect(body.id).toBe("x");
    expect(new Date(body.effective_at).toISOString()).toBe(body.effective_at);
    expect(waitedMs).toBeLessThan(200);
  });

  test.each(["wait", "wait=5", 'Wait="5"', "respond-async, wait ; foo=1"])(
    "waits for it with %j",
    async (prefer) => {
      const { response, waitedMs } = await respond(prefer, 120);
      expect(waitedMs).toBeGreaterThanOrEqual(110);
      expect(response.headers.get("preference-applied")).toBe("wait");
    },
  );

  test("waits no longer than asked, and then does not say that it holds", async () => {
    const { response, waitedMs } = await respond("wait=0", 60_000);
    expect(waitedMs).toBeLessThan(200);
    expect(response.headers.get("preference-applied")).toBeNull();
  });

  test("does not wait for what holds already", async () => {
    const { response, waitedMs } = await respond("wait", -1_000);
    expect(waitedMs).toBeLessThan(200);
    expect(response.headers.get("preference-applied")).toBe("wait");
  });

  test.each(["await", "wait-for-it", "wait=x", "wait=-1", ""])(
    "does not know the preference %j",
    async (prefer) => {
      const { response, waitedMs } = await respond(prefer, 60_000);
      expect(waitedMs).toBeLessThan(200);
      expect(response.headers.get("preference-applied")).toBeNull();
    },
  );

  test("without a body is a 204 with the time in a header", async () => {
    const response = await respondChange(exchange(), null, { effectiveAt: 0 });
    expect(response.status).toBe(204);
    expect(response.headers.get("x-valetkey-effective-at")).toBe("1970-01-01T00:00:00.000Z");
  });
});
