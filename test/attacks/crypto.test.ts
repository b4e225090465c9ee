import { readFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { databaseOf } from "./database.ts";
import { codeOf, KINDS, type Lab, openLab } from "./support.ts";

/* Whoever can write to the database, and to nothing else: what that gets them at the gateway's door. */

const VICTIM = "victim-credential-8c1f0a72d4e9";
const OTHER = "other-credential-5b3e7d9012fa";
const STRANGER = "ten_00000000deadbeef";

type Row = Record<string, string | number | null>;

let lab: Lab;

beforeAll(async () => {
  lab = await openLab(() => ({ victim: { value: VICTIM }, other: { value: OTHER } }));
  expect((await lab.send("/proxy/victim/x")).status).toBe(200);
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.upstream.requests.length = 0;
});

function current(name: string): Row {
  const database = databaseOf(lab.gateway.stateDir);
  try {
    const row = database
      .prepare(
        `SELECT v.* FROM secret_versions v JOIN secrets s ON s.id = v.secret_id AND s.current_version = v.version
         WHERE s.path = ?`,
      )
      .get(`test/${name}/KEY`);
    return { ...row } as Row;
  } finally {
    database.close();
  }
}

function write(row: Row): void {
  const database = databaseOf(lab.gateway.stateDir);
  const { id, ...columns } = row;
  const names = Object.keys(columns);
  database
    .prepare(`UPDATE secret_versions SET ${names.map((name) => `${name} = ?`).join(", ")} WHERE id = ?`)
    .run(...Object.values(columns), id ?? null);
  database.close();
}

/** Serves the database with some columns of the victim's sealed value changed, and calls with it. */
async function callWith(columns: Row) {
  const row = current("victim");
  await lab.gateway.kill();
  write({ ...row, ...columns });
  await lab.gateway.restart();
  try {
    return await lab.send("/proxy/victim/x");
  } finally {
    await lab.gateway.kill();
    write(row);
    await lab.gateway.restart();
  }
}

async function expectShut(columns: Row): Promise<void> {
  const answer = await callWith(columns);
  expect([answer.status, codeOf(answer)]).toEqual([500, "INTERNAL"]);
  expect(answer.text).toContain("could not be opened");
  expect(lab.upstream.requests).toEqual([]);
}

/** A column in base64 with one bit flipped. */
function flip(base64: string | number | null | undefined, at: number, bit = 1): string {
  const bytes = Buffer.from(String(base64), "base64");
  const index = at < 0 ? bytes.length + at : at;
  bytes[index] = (bytes[index] ?? 0) ^ bit;
  return bytes.toString("base64");
}

describe("attack 70: what was sealed somewhere else does not open here", () => {
  test("attack 70: a whole envelope of another path, or parts of it", async () => {
    const { nonce = "", ciphertext = "", wrapped_dek = "", key_version = "" } = current("other");
    await expectShut({ nonce, ciphertext, wrapped_dek, key_version });
    await expectShut({ nonce, ciphertext });
    await expectShut({ wrapped_dek, key_version });
  });

  test("attack 70: the envelope of an earlier version put in the place of the current one", async () => {
    const first = current("victim");
    await lab.tenant.admin.must("PUT", "/v1/secrets/test/victim/KEY", { value: "victim-second-1fa40b8c2d" });
    const { nonce = "", ciphertext = "", wrapped_dek = "" } = first;
    await expectShut({ nonce, ciphertext, wrapped_dek });
    await lab.tenant.admin.must("PUT", "/v1/secrets/test/victim/KEY", { value: VICTIM });
  });

  test("attack 70: a row of this tenant given to another one, its connections and tokens with it", async () => {
    const { tenantId } = lab.tenant;
    const move = (from: string, to: string): void => {
      const database = databaseOf(lab.gateway.stateDir);
      for (const table of ["secrets", "secret_versions", "connections"])
        database.prepare(`UPDATE ${table} SET tenant_id = ? WHERE tenant_id = ?`).run(to, from);
      database.close();
    };
    // Another tenant's token does the asking: this tenant's, under another id.
    await lab.gateway.kill();
    const database = databaseOf(lab.gateway.stateDir);
    database
      .prepare("INSERT INTO tenants SELECT ?, name, epoch, settings, created_at FROM tenants WHERE id = ?")
      .run(STRANGER, tenantId);
    database.prepare("UPDATE agents SET tenant_id = ? WHERE tenant_id = ?").run(STRANGER, tenantId);
    database.prepare("UPDATE agent_keys SET tenant_id = ? WHERE tenant_id = ?").run(STRANGER, tenantId);
    database.close();
    move(tenantId, STRANGER);
    await lab.gateway.restart();
    const token = await lab.tenant.token(["connections:call:*"]);
    const answer = await lab.send("/proxy/victim/x", { authorization: `Bearer ${token}` });
    expect([answer.status, codeOf(answer)]).toEqual([500, "INTERNAL"]);
    expect(lab.upstream.requests).toEqual([]);
    await lab.gateway.kill();
    move(STRANGER, tenantId);
    const after = databaseOf(lab.gateway.stateDir);
    for (const table of ["agents", "agent_keys"])
      after.prepare(`UPDATE ${table} SET tenant_id = ? WHERE tenant_id = ?`).run(tenantId, STRANGER);
    after.prepare("DELETE FROM tenants WHERE id = ?").run(STRANGER);
    after.close();
    await lab.gateway.restart();
  });
});

describe("attack 71: an envelope that was altered does not open", () => {
  test.each([
    ["the first byte of the value", (row: Row) => ({ ciphertext: flip(row["ciphertext"], 0) })],
    ["the tag", (row: Row) => ({ ciphertext: flip(row["ciphertext"], -1, 128) })],
    ["the nonce", (row: Row) => ({ nonce: flip(row["nonce"], 5) })],
    ["the wrapped key", (row: Row) => ({ wrapped_dek: flip(row["wrapped_dek"], 20) })],
    ["the wrapped key's tag", (row: Row) => ({ wrapped_dek: flip(row["wrapped_dek"], -1) })],
    ["the format, lower", () => ({ format: 0 })],
    ["the format, higher", () => ({ format: 2 })],
    ["the key's version", () => ({ key_version: "embedded/2" })],
    ["the key's provider", () => ({ key_version: "none/1" })],
    ["the length: nothing left", () => ({ ciphertext: "" })],
    [
      "the length: the tag alone",
      (row: Row) => ({
        ciphertext: Buffer.from(String(row["ciphertext"]), "base64").subarray(-16).toString("base64"),
      }),
    ],
    [
      "the length: a shorter tag",
      (row: Row) => ({
        ciphertext: Buffer.from(String(row["ciphertext"]), "base64").subarray(0, -4).toString("base64"),
      }),
    ],
    [
      "a nonce of 16 bytes",
      (row: Row) => ({
        nonce: Buffer.concat([Buffer.from(String(row["nonce"]), "base64"), Buffer.alloc(4)]).toString(
          "base64",
        ),
      }),
    ],
  ])("attack 71: %s", async (_what, change) => {
    await expectShut(change(current("victim")));
  });
});

test("attack 72: with a new root key in front, half way and to the end, old and new secrets open", async () => {
  const keys = JSON.parse(readFileSync(path.join(lab.gateway.stateDir, "keys.json"), "utf8"));
  await lab.gateway.restart({ ROOT_KEYS: `2:${randomBytes(32).toString("base64")},${keys.ROOT_KEYS}` });
  const value = "sealed-under-the-new-key-3d0c";
  await lab.tenant.putSecret("test/new/KEY", value, { allowed_hosts: [lab.upstream.authority] });
  await lab.tenant.connect("new", {
    base_url: lab.upstream.url,
    credential: KINDS.bearer,
    secret: "test/new/KEY",
  });
  await lab.tenant.settled();
  expect([current("victim")["key_version"], current("new")["key_version"]]).toEqual([
    "embedded/1",
    "embedded/2",
  ]);
  for (const round of [1, 2]) {
    // The second time after a crash, with nothing at hand.
    if (round === 2) {
      await lab.gateway.kill();
      await lab.gateway.restart();
    }
    lab.upstream.requests.length = 0;
    for (const slug of ["victim", "other", "new"]) await lab.send(`/proxy/${slug}/x`);
    expect(lab.upstream.requests.map(({ header }) => header("authorization"))).toEqual([
      [`Bearer ${VICTIM}`],
      [`Bearer ${OTHER}`],
      [`Bearer ${value}`],
    ]);
  }
});

describe("attack 73: what belongs to another tenant is not there", () => {
  const theirs = {
    agent: "agt_00000000000000000000beef",
    key: "akey_00000000000000000000beef",
    token: "tok_00000000000000000000beef",
    slug: "theirs",
    secret: "theirs/up/KEY",
  };

  beforeAll(async () => {
    await lab.gateway.kill();
    const database = databaseOf(lab.gateway.stateDir);
    const copy = (table: string, changed: Readonly<Record<string, string>>, where = "1"): void => {
      const row = database.prepare(`SELECT * FROM ${table} WHERE ${where} LIMIT 1`).get();
      const copied = { ...row, ...changed, tenant_id: STRANGER } as Row;
      const names = Object.keys(copied).map((name) => `"${name}"`);
      database
        .prepare(`INSERT INTO ${table} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`)
        .run(...Object.values(copied));
    };
    database
      .prepare("INSERT INTO tenants SELECT ?, 'theirs', epoch, settings, created_at FROM tenants LIMIT 1")
      .run(STRANGER);
    copy("agents", { id: theirs.agent, name: "their agent" });
    copy("agent_keys", { id: theirs.key, agent_id: theirs.agent, digest: "theirs" });
    copy("tokens", { id: theirs.token, agent_id: theirs.agent });
    copy("secrets", { id: "sec_00000000000000000000beef", path: theirs.secret }, "path = 'test/victim/KEY'");
    copy("secret_versions", {
      id: "ver_00000000000000000000beef",
      secret_id: "sec_00000000000000000000beef",
    });
    copy("connections", { id: "con_00000000000000000000beef", slug: theirs.slug });
    database.close();
    await lab.gateway.restart();
  });

  test.each([
    ["GET", `/v1/agents/${theirs.agent}`],
    ["PATCH", `/v1/agents/${theirs.agent}`, { description: "mine now" }],
    ["DELETE", `/v1/agents/${theirs.agent}`],
    ["POST", `/v1/agents/${theirs.agent}/keys`],
    ["DELETE", `/v1/agents/${theirs.agent}/keys/${theirs.key}`],
    ["GET", `/v1/tokens/${theirs.token}`],
    ["DELETE", `/v1/tokens/${theirs.token}`],
    ["GET", `/v1/connections/${theirs.slug}`],
    ["PATCH", `/v1/connections/${theirs.slug}`, { default: "deny" }],
    ["DELETE", `/v1/connections/${theirs.slug}`],
    ["GET", `/v1/secrets/${theirs.secret}`],
    ["GET", `/v1/secrets/${theirs.secret}/versions`],
    ["POST", `/v1/secrets/${theirs.secret}/rotate`, { new_value: "mine now, all of it" }],
    ["POST", `/v1/secrets/${theirs.secret}/rollback`, { version: 1 }],
    ["DELETE", `/v1/secrets/${theirs.secret}`],
  ])("attack 73: %s %s is a 404, and changes nothing", async (method, target, body?: object) => {
    const before = everything();
    const answer = await lab.tenant.admin.call(method, target, body === undefined ? {} : { body });
    expect([answer.status, answer.body.error.code]).toEqual([404, expect.stringMatching(/NOT_FOUND$/)]);
    expect(JSON.stringify(answer.body)).not.toContain("their agent");
    expect(everything()).toEqual(before);
  });

  test("attack 73: no list shows it, no call reaches it, no connection takes its secret", async () => {
    for (const target of [
      "/v1/agents",
      "/v1/tokens",
      "/v1/connections",
      "/v1/secrets",
      "/v1/namespaces",
      "/v1/audit",
    ]) {
      const listed = await lab.tenant.admin.must(
        "GET",
        `${target}${target === "/v1/namespaces" ? "" : "?limit=200"}`,
      );
      expect(JSON.stringify(listed), target).not.toMatch(/beef|theirs|their agent/);
    }
    const call = await lab.send(`/proxy/${theirs.slug}/x`);
    expect([call.status, codeOf(call)]).toEqual([404, "NOT_FOUND"]);
    const body = {
      slug: "grab",
      base_url: lab.upstream.url,
      credential: KINDS.bearer,
      secret: theirs.secret,
    };
    const made = await lab.tenant.admin.call("POST", "/v1/connections", { body });
    expect([made.status, made.body.error.code]).toEqual([404, "SECRET_NOT_FOUND"]);
    expect(lab.upstream.requests).toEqual([]);
  });

  /** Every row of the other tenant's. */
  function everything(): Row[] {
    const database = databaseOf(lab.gateway.stateDir);
    try {
      return [
        "agents",
        "agent_keys",
        "tokens",
        "connections",
        "secrets",
        "secret_versions",
        "tenants",
      ].flatMap((table) => {
        const column = table === "tenants" ? "id" : "tenant_id";
        const rows = database.prepare(`SELECT * FROM ${table} WHERE ${column} = ?`).all(STRANGER);
        return rows.map((row) => ({ ...row }) as Row);
      });
    } finally {
      database.close();
    }
  }
});
