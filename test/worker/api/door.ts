import { env, exports } from "cloudflare:workers";
import { vi } from "vitest";
import { auditOutbox } from "../../../src/audit/tables.ts";
import { openDatabase } from "../../../src/base/database.ts";
import { newId, type TenantId } from "../../../src/base/ids.ts";
import type { Role } from "../../../src/identity/caller.ts";
import { credentialDigest, newCredential } from "../../../src/identity/credential.ts";
import { members, tenants } from "../../../src/identity/tables.ts";
import { checkContract } from "./contract.ts";

const worker = (exports as unknown as { readonly default: Fetcher }).default;

export const bindings = env as unknown as Env;
export const db = openDatabase(bindings).acrossTenants("what a test looks into");
export const pepper = Buffer.from(bindings.PEPPER ?? "", "base64");

const made = new Set<TenantId>();

export const ROLES = ["admin", "editor", "viewer", "auditor"] as const;

/** A tenant with one member of each role, and their credentials: for scripts, as every `vkm_…` is. */
export async function newTenant(): Promise<{ readonly tenantId: TenantId } & Readonly<Record<Role, string>>> {
  const tenantId = newId("tenant");
  made.add(tenantId);
  const credentials = ROLES.map((role) => [role, newCredential("vkm").reveal()] as const);
  await db
    .insert(tenants)
    .values({ id: tenantId, name: "a team", settings: { reveal: "deny" }, createdAt: Date.now() });
  for (const [role, credential] of credentials) {
    await db.insert(members).values({
      id: newId("member"),
      tenantId,
      name: role,
      role,
      script: true,
      digest: credentialDigest(pepper, credential),
      createdAt: Date.now(),
    });
  }
  const [admin, editor, viewer, auditor] = credentials.map(([, credential]) => credential);
  return { tenantId, admin: admin ?? "", editor: editor ?? "", viewer: viewer ?? "", auditor: auditor ?? "" };
}

export interface Sent {
  readonly credential?: string;
  /** A string or stream goes out as it is, anything else as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body, `{}` where it is empty or no JSON. */
  // oxlint-disable-next-line typescript/no-explicit-any -- what comes over the wire has no type; tests say what it is.
  readonly body: any;
}

/** One call through the Worker's own door. Throws where the answer is not one that the API's description has. */
export async function send(method: string, path: string, sent: Sent = {}): Promise<Answer> {
  const { body, credential } = sent;
  const response = await worker.fetch(`http://localhost${path}`, {
    method,
    headers: {
      "cf-connecting-ip": "192.0.2.1",
      ...(credential === undefined ? {} : { authorization: `Bearer ${credential}` }),
      ...sent.headers,
    },
    ...(body === undefined ? {} : { body: isRaw(body) ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  checkContract(method, path, { status: response.status, headers: response.headers, text });
  return { status: response.status, headers: response.headers, text, body: parsed(response.headers, text) };
}

function parsed(headers: Headers, text: string): unknown {
  const isJson = /^application\/(?:problem\+)?json/.test(headers.get("content-type") ?? "");
  return text !== "" && isJson ? JSON.parse(text) : {};
}

function isRaw(body: unknown): body is string | ReadableStream {
  return typeof body === "string" || body instanceof ReadableStream;
}

/** How many rows there are, by table. */
export async function countRows(): Promise<Record<string, number>> {
  const tables = await bindings.DB.prepare(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'",
  ).all<{ name: string }>();
  const counts: Record<string, number> = {};
  for (const { name } of tables.results) {
    const row = await bindings.DB.prepare(`SELECT count(*) AS count FROM "${name}"`).first<{
      count: number;
    }>();
    counts[name] = row?.count ?? 0;
  }
  return counts;
}

/** Until the events of this file's tenants have left the outbox: they do so in the background. */
export function outboxEmpty(): Promise<unknown> {
  const waiting = async (): Promise<number> => {
    const rows = await db.select({ tenantId: auditOutbox.tenantId }).from(auditOutbox);
    return rows.filter(({ tenantId }) => made.has(tenantId)).length;
  };
  return vi.waitUntil(async () => (await waiting()) === 0, { timeout: 5_000 });
}

/** What the tenant's gate tells of a change. */
export function leaseOf(tenantId: TenantId) {
  return bindings.TENANT_GATE.get(bindings.TENANT_GATE.idFromName(tenantId)).lease(tenantId);
}
