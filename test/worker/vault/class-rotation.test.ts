import { beforeEach, describe, expect, test } from "vitest";
import { type Answer, newTenant, outboxEmpty, send } from "../api/door.ts";
import { signedIn } from "../support/signed-in.ts";
import { call, isolate } from "../support/tenant.ts";

let tenant: Awaited<ReturnType<typeof newTenant>>;
beforeEach(async () => {
  tenant = await newTenant();
});

const REASON = "the CI runner's disk was read by a stranger";

const as = (role: "admin" | "editor" | "viewer", method: string, path: string, body?: object) =>
  send(method, path, { credential: tenant[role], ...(body === undefined ? {} : { body }) });

async function put(path: string, secret_type: string, over: object = {}): Promise<void> {
  const body = { value: `value-of-${path}-0000`, secret_type, allowed_hosts: ["api.example.com"], ...over };
  expect((await as("admin", "PUT", `/v1/secrets/${path}`, body)).status).toBeLessThan(300);
}

async function newToken(scopes: readonly string[]): Promise<string> {
  const allowed_scopes = ["secrets:*:*", "connections:call:*"];
  const { headers } = await signedIn(tenant.tenantId, "admin");
  const body = { name: "a", allowed_scopes, trust_tier: "trusted" };
  const agent = await send("POST", "/v1/agents", { headers, body });
  const issued = await send("POST", "/v1/tokens", {
    credential: agent.body.api_key,
    body: { scopes, ttl: "1h" },
  });
  expect(issued.status).toBe(201);
  return issued.body.token;
}

const rotate = (name: string) => as("admin", "POST", "/v1/rotate-class", { class: name, reason: REASON });
const codeOf = ({ status, body }: Answer) => [status, body.error?.code];
const dueOf = async (path: string) => (await as("viewer", "GET", `/v1/secrets/${path}`)).body.rotation_due;
const listed = async (query: string): Promise<string[]> => {
  const { body } = await as("viewer", "GET", `/v1/secrets?${query}`);
  return body.items.map(({ path }: { path: string }) => path);
};

describe("rotating a class", () => {
  test("refuses at once every token that reaches a secret of it; calls with other secrets go on", async () => {
    const local = { allowed_hosts: ["127.0.0.1:9"] };
    await put("a/KEY", "api_key", local);
    await put("b/CERT", "certificate", local);
    await as("admin", "PATCH", "/v1/tenant", { reveal: "allow" });
    for (const [slug, secret] of [
      ["key", "a/KEY"],
      ["cert", "b/CERT"],
    ]) {
      const body = { slug, base_url: "http://127.0.0.1:9", credential: { kind: "bearer" }, secret };
      expect((await as("editor", "POST", "/v1/connections", body)).status).toBe(201);
    }
    const [reader, caller] = [await newToken(["secrets:read:a/KEY"]), await newToken(["connections:call:*"])];
    // Each by an isolate that has no lease yet: what holds from `effective_at` on holds for it now.
    const statusOf = async (path: string, token: string) => {
      const { response, settled } = await call(path, token, {}, isolate());
      await response.body?.cancel();
      await settled();
      return response.status;
    };
    const read = (token: string) => statusOf("/v1/secrets/a/KEY", token);
    const calls = (slug: string, token: string) => statusOf(`/proxy/${slug}/x`, token);
    expect([await read(reader), await calls("key", caller), await calls("cert", caller)]).toEqual([
      200, 200, 200,
    ]);
    const { status, body } = await rotate("api_key");
    expect(status).toBe(200);
    expect([await read(reader), await calls("key", caller), await calls("cert", caller)]).toEqual([
      401, 401, 200,
    ]);
    expect(body.effective_at).toEqual(expect.any(String));
    const later = [await newToken(["secrets:read:a/KEY"]), await newToken(["connections:call:key"])] as const;
    expect([await read(later[0]), await calls("key", later[1])]).toEqual([200, 200]);
  });

  test("stays refused for what is made another type afterwards", async () => {
    await put("a/KEY", "api_key");
    await as("admin", "PATCH", "/v1/tenant", { reveal: "allow" });
    const reader = await newToken(["secrets:read:a/KEY"]);
    await rotate("api_key");
    await put("a/KEY", "custom");
    const { response, settled } = await call("/v1/secrets/a/KEY", reader, {}, isolate());
    await response.body?.cancel();
    await settled();
    expect(response.status).toBe(401);
  });

  test("names each secret of it, and the connections whose calls use it", async () => {
    await put("a/ONE", "api_key");
    await put("a/TWO", "api_key", { access_tier: "sensitive" });
    await put("a/CERT", "certificate");
    const connection = { base_url: "https://api.example.com", credential: { kind: "bearer" } };
    for (const slug of ["up", "up2"]) {
      const body = { slug, ...connection, secret: "a/ONE" };
      expect((await as("editor", "POST", "/v1/connections", body)).status).toBe(201);
    }
    const { body } = await rotate("api_key");
    expect(body).toMatchObject({ class: "api_key", reason: REASON, count: 2, next_cursor: null });
    expect(body.secrets).toEqual([
      { path: "a/ONE", secret_type: "api_key", access_tier: "standard", connections: ["up", "up2"] },
      { path: "a/TWO", secret_type: "api_key", access_tier: "sensitive", connections: [] },
    ]);
    expect(Date.parse(body.revoked_before)).toBeLessThanOrEqual(Date.parse(body.effective_at));
    expect((await rotate("sensitive")).body.secrets.map(({ path }: { path: string }) => path)).toEqual([
      "a/TWO",
    ]);
    expect((await rotate("ssh_key")).body).toMatchObject({ secrets: [], count: 0 });
  });

  test("of more than 500 names the first, and the list has all of them from there", async () => {
    for (let start = 0; start < 600; start += 200) {
      const keys = Array.from(
        { length: 200 },
        (_, at) => `K${String(start + at).padStart(3, "0")}=value-${at}-xx`,
      );
      const body = { namespace: "many", content: keys.join("\n"), secret_type: "ssh_key" };
      expect((await as("editor", "POST", "/v1/secrets/import", body)).status).toBe(201);
    }
    const { body } = await rotate("ssh_key");
    expect([body.count, body.secrets.length]).toEqual([600, 500]);
    const query = `rotation_due=true&type=ssh_key&limit=200&cursor=${body.next_cursor}`;
    const rest = await listed(query);
    expect(rest).toHaveLength(100);
    expect(rest[0]).toBe("many/K500");
    await outboxEmpty();
    const trail = await as("admin", "GET", "/v1/audit?event_type=class.rotated");
    expect(trail.body.events).toMatchObject([
      {
        resource_type: "class",
        resource: "ssh_key",
        outcome: "success",
        context: { reason: REASON, secrets: 600 },
      },
    ]);
    expect(trail.body.events[0].context.paths).toHaveLength(100);
  });

  test("marks each until it has a new value, however it gets that, and by nothing else", async () => {
    for (const name of ["PUT", "ROTATED", "IMPORTED", "BACK", "STAYS"]) await put(`a/${name}`, "api_key");
    await put("a/BACK", "api_key", { value: "another-value-0000" });
    await put("a/CERT", "certificate");
    await rotate("api_key");
    expect(await listed("rotation_due=true")).toEqual([
      "a/BACK",
      "a/IMPORTED",
      "a/PUT",
      "a/ROTATED",
      "a/STAYS",
    ]);
    expect(await listed("rotation_due=false")).toEqual(["a/CERT"]);
    expect((await as("viewer", "GET", "/v1/secrets/a/PUT")).body).toMatchObject({
      rotation_due: true,
      rotation_due_at: expect.any(String),
      rotation_reason: REASON,
    });
    await as("editor", "PATCH", "/v1/secrets/a/STAYS", { secret_type: "custom", tags: ["seen"] });
    await as("editor", "PUT", "/v1/secrets/a/STAYS", { metadata: { owner: "ada" } });
    await as("editor", "PUT", "/v1/secrets/a/PUT", { value: "a-new-value-0001" });
    await as("editor", "POST", "/v1/secrets/a/ROTATED/rotate", { new_value: "a-new-value-0002" });
    await as("editor", "POST", "/v1/secrets/import", {
      namespace: "a",
      content: "IMPORTED=a-new-value-0003",
    });
    await as("editor", "POST", "/v1/secrets/a/BACK/rollback", { version: 1 });
    expect(await listed("rotation_due=true")).toEqual(["a/STAYS"]);
    expect((await as("viewer", "GET", "/v1/secrets/a/PUT")).body).toMatchObject({
      rotation_due: false,
      rotation_due_at: null,
      rotation_reason: null,
    });
  });

  test("marks a deleted one, too: restored, it still needs a new value", async () => {
    await put("a/KEY", "api_key");
    await as("editor", "DELETE", "/v1/secrets/a/KEY");
    expect((await rotate("api_key")).body.count).toBe(0);
    await as("editor", "POST", "/v1/secrets/a/KEY/restore", {});
    expect(await dueOf("a/KEY")).toBe(true);
  });

  test("reaches nothing of another tenant", async () => {
    await put("a/KEY", "api_key");
    const other = await newTenant();
    const body = { class: "api_key", reason: REASON };
    const answer = await send("POST", "/v1/rotate-class", { credential: other.admin, body });
    expect(answer.body).toMatchObject({ secrets: [], count: 0 });
    expect(await dueOf("a/KEY")).toBe(false);
  });

  test("is an admin's: a person's just after signing in, or by a credential for scripts", async () => {
    const body = { class: "api_key", reason: REASON };
    const stale = await signedIn(tenant.tenantId, "admin", { authenticatedAt: Date.now() - 6 * 60_000 });
    const fresh = await signedIn(tenant.tenantId, "admin");
    const by = async (headers: Readonly<Record<string, string>>) =>
      codeOf(await send("POST", "/v1/rotate-class", { headers, body }));
    expect(await by(stale.headers)).toEqual([403, "STEP_UP_REQUIRED"]);
    expect(await by(fresh.headers)).toEqual([200, undefined]);
    expect(codeOf(await as("editor", "POST", "/v1/rotate-class", body))).toEqual([403, "ROLE_DENIED"]);
  });

  test.each([{ class: "all", reason: "x" }, { class: "api_key" }, { class: "api_key", reason: " " }])(
    "takes a class and a reason, not %j",
    async (body) => {
      expect(codeOf(await as("admin", "POST", "/v1/rotate-class", body))).toEqual([400, "VALIDATION_ERROR"]);
    },
  );
});
