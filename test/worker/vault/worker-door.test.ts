import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { beforeEach, describe, expect, test } from "vitest";
import { sweep } from "../../../src/sweep.ts";
import { bindings, newTenant, outboxEmpty, send } from "../api/door.ts";
import { signedIn } from "../support/signed-in.ts";

let tenant: Awaited<ReturnType<typeof newTenant>>;
beforeEach(async () => {
  tenant = await newTenant();
});

const as = (role: "admin" | "editor" | "viewer" | "auditor") => {
  const credential = tenant[role];
  return (method: string, path: string, body?: object, headers = {}) =>
    send(method, path, { credential, headers, ...(body === undefined ? {} : { body }) });
};

async function fill(namespace: string, count: number): Promise<void> {
  const content = Array.from(
    { length: count },
    (_, at) => `K${String(at).padStart(3, "0")}=some-value-${at}`,
  );
  const body = { namespace, content: content.join("\n"), tags: ["t"] };
  expect((await as("editor")("POST", "/v1/secrets/import", body)).status).toBe(201);
}

describe("the export", () => {
  test("has what is known about every secret that a filter finds, however many pages that is, and no value", async () => {
    await fill("many", 200);
    await fill("more", 200);
    await as("editor")("PUT", "/v1/secrets/a/KEY", { value: "canary-7d1f3c", metadata: { owner: "ada" } });
    await as("editor")("PUT", "/v1/secrets/a/KEY2", { value: "canary-7d1f3c", tags: ["x"] });
    const { headers, text } = await raw("/v1/secrets/export");
    expect(headers.get("content-type")).toBe("application/x-ndjson");
    expect(headers.get("content-disposition")).toBe('attachment; filename="secrets.ndjson"');
    expect(headers.get("cache-control")).toBe("no-store");
    const lines = text.trimEnd().split("\n");
    expect(lines).toHaveLength(402);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({
      path: "a/KEY",
      version: 1,
      metadata: { owner: "ada" },
    });
    expect(text).not.toContain("canary-7d1f3c");
    const some = await raw("/v1/secrets/export?namespace=many&query=K00", { accept: "application/json" });
    expect(JSON.parse(some.text)).toHaveLength(10);
  });

  test("attack 83: metadata that a spreadsheet would run is text in CSV", async () => {
    await as("editor")("PUT", "/v1/secrets/a/KEY", {
      value: "some-value",
      metadata: { note: 'x;=HYPERLINK("https://evil.example")' },
    });
    const { text, headers } = await raw("/v1/secrets/export", { accept: "text/csv" });
    expect(headers.get("content-type")).toContain("text/csv");
    const [header, row = ""] = text.split("\r\n");
    expect(header).toMatch(/^"path","namespace","key","version",/);
    expect(row).toMatch(/^"a\/KEY","a","KEY",1,"custom","standard","\[\]",/);
    expect(row).toContain("x;'=HYPERLINK(");
  });

  test("attack 84: is in the ledger with who, how and what was asked for, and refused where it would not be", async () => {
    await raw("/v1/secrets/export?tag=t", { accept: "text/csv" });
    await outboxEmpty();
    const { body } = await as("admin")("GET", "/v1/audit?event_type=secret.exported");
    expect(body.events).toMatchObject([
      { resource: "*", outcome: "success", context: { format: "text/csv", filter: { tag: "t" } } },
    ]);
    const html = await as("viewer")("GET", "/v1/secrets/export", undefined, { accept: "text/html" });
    expect([html.status, html.body.error.code]).toEqual([406, "NOT_ACCEPTABLE"]);
    expect((await as("auditor")("GET", "/v1/secrets/export")).body.error.code).toBe("ROLE_DENIED");
    await outboxEmpty();
    expect((await as("admin")("GET", "/v1/audit?event_type=secret.exported")).body.events).toHaveLength(1);
  });

  async function raw(path: string, headers: Record<string, string> = {}) {
    return send("GET", path, { credential: tenant.viewer, headers });
  }
});

describe("a dry run of an import", () => {
  test("tells what would be created and updated, and changes nothing", async () => {
    await as("editor")("PUT", "/v1/secrets/a/OLD", { value: "the-old-value" });
    const body = {
      namespace: "a",
      content: "OLD=the-new-value\nNEW=another-value\nSHORT=abc",
      dry_run: true,
    };
    const { status, body: answer } = await as("editor")("POST", "/v1/secrets/import", body);
    expect([status, answer]).toEqual([
      200,
      {
        namespace: "a",
        dry_run: true,
        created: ["NEW", "SHORT"],
        updated: ["OLD"],
        not_for_connections: ["SHORT"],
      },
    ]);
    const { body: listed } = await as("editor")("GET", "/v1/secrets");
    expect(listed.items).toMatchObject([{ path: "a/OLD", version: 1 }]);
  });

  test("is refused for what the import would be refused for", async () => {
    await as("editor")("PUT", "/v1/secrets/a/KEY", { value: "some-value", access_tier: "critical" });
    const lower = { namespace: "a", content: "KEY=other-value", access_tier: "standard" };
    for (const over of [{}, { dry_run: true }]) {
      const { body } = await as("admin")("POST", "/v1/secrets/import", { ...lower, ...over });
      expect(body.error.code).toBe("APPROVAL_REQUIRED");
    }
  });
});

describe("a tenant's settings on its secrets", () => {
  test("are told with what holds where nothing was said, and change one by one", async () => {
    const patch = as("admin");
    const told = async () => (await patch("GET", "/v1/tenant")).body.settings;
    expect(await told()).toEqual({
      ...(await told()),
      tier_default: "standard",
      version_retention: { keep: 10, days: 30 },
      recovery_days: 7,
    });
    await patch("PATCH", "/v1/tenant", { version_retention: { keep: 3 }, recovery_days: 0 });
    await patch("PATCH", "/v1/tenant", { version_retention: { days: 1 }, tier_default: "critical" });
    expect(await told()).toMatchObject({
      tier_default: "critical",
      version_retention: { keep: 3, days: 1 },
      recovery_days: 0,
    });
  });

  test.each([
    { version_retention: {} },
    { version_retention: { keep: 0 } },
    { version_retention: { days: -1 } },
    { version_retention: 3 },
    { recovery_days: 366 },
    { recovery_days: 1.5 },
    { tier_default: null },
  ])("such as %j are refused", async (body) => {
    expect((await as("admin")("PATCH", "/v1/tenant", body)).body.error.code).toBe("VALIDATION_ERROR");
  });
});

test("purging takes a sign-in that is fresh", async () => {
  const path = "/v1/secrets/a/KEY";
  await as("editor")("PUT", path, { value: "some-value" });
  const admin = await signedIn(tenant.tenantId, "admin");
  const purge = () => send("POST", `${path}/purge`, { headers: admin.headers, body: {} });
  await admin.age(6 * 60_000);
  expect((await purge()).body.error.code).toBe("STEP_UP_REQUIRED");
  expect((await as("editor")("GET", path)).status).toBe(200);
  const fresh = await signedIn(tenant.tenantId, "admin");
  const { status, body } = await send("POST", `${path}/purge`, { headers: fresh.headers, body: {} });
  expect([status, body]).toMatchObject([200, { path: "a/KEY", purged: 1 }]);
  expect((await as("editor")("GET", path)).status).toBe(404);
});

test("the hourly sweep does to secrets what time does", async () => {
  await as("editor")("PUT", "/v1/secrets/a/KEY", {
    value: "some-value",
    expires_at: new Date(Date.now() + 300).toISOString(),
  });
  await expect
    .poll(async () => (await as("editor")("GET", "/v1/secrets/a/KEY")).body.expired, { timeout: 5_000 })
    .toBe(true);
  // It takes so many at a time, and other tests' tenants have some.
  const swept = async () => {
    const context = createExecutionContext();
    await sweep(bindings, (promise) => context.waitUntil(promise));
    await waitOnExecutionContext(context);
    return (await as("admin")("GET", "/v1/audit?event_type=secret.expired")).body.events;
  };
  await expect.poll(swept, { timeout: 20_000 }).toMatchObject([{ actor: "system", resource: "a/KEY" }]);
}, 30_000);
