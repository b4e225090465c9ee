import { expect } from "vitest";
import type { TenantId } from "../../../src/base/ids.ts";
import { Problem, type ProblemCode } from "../../../src/base/problem.ts";
import { check } from "../../../src/base/request.ts";
import { Redacted } from "../../../src/base/redacted.ts";
import { Connections } from "../../../src/connections/connections.ts";
import type { DestinationRules } from "../../../src/connections/destination.ts";
import { connectionCreateSchema, connectionPatchSchema } from "../../../src/connections/schemas.ts";
import { parseCredential } from "../../../src/credentials/kinds.ts";
import type { SecretWrite } from "../../../src/vault/settle.ts";
import { d1, database, openVault } from "../vault/fixtures.ts";

export const CANARY = "canary-51c0ffee-live-secret";
export const KEY = "staging/up/KEY";
export const OWN_HOST = "gateway.valetkey.dev";

/** As deployed: nothing private, and the gateway's own host is known. */
const DEPLOYED: DestinationRules = { privateAllowed: false, ownHosts: [OWN_HOST] };

/** A tenant of its own with a vault and connections. Input goes through the schemas, as at the door. */
export async function openConnections(rules: DestinationRules = DEPLOYED) {
  const { tenantId, vault, changes, editor, time } = await openVault();
  const parts = {
    db: database,
    changes,
    vault,
    parseCredential,
    rules,
    clock: () => time.now,
    waitUntil: () => undefined,
  };
  const connections = new Connections(parts);
  return {
    tenantId,
    vault,
    changes,
    editor,
    time,
    connections,
    /** Stores a secret and says its path. */
    async secret(
      path: string,
      write: Partial<SecretWrite> & { readonly text?: string } = {},
    ): Promise<string> {
      const { text = CANARY, ...rest } = write;
      await vault.changes.put(editor, path, { value: new Redacted(Buffer.from(text)), ...rest });
      return path;
    },
    async hostsOf(path: string): Promise<readonly string[] | null | undefined> {
      return (await vault.index.find(tenantId, path))?.secret.allowedHosts;
    },
    create: async (input: unknown) => connections.create(editor, check(connectionCreateSchema, input)),
    update: async (slug: string, patch: unknown) =>
      connections.update(editor, slug, check(connectionPatchSchema, patch)),
  };
}

/** A connection of one's own, to a host that `secret` must allow. */
export const own = (secret: string, over: object = {}): object => ({
  slug: "up",
  base_url: "https://api.example.org",
  credential: { kind: "bearer" },
  secret,
  ...over,
});

/** What a refused attempt was told. It says what to do next and repeats no secret. */
export async function refusalOf(attempt: Promise<unknown>): Promise<Problem> {
  const error: unknown = await attempt.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof Problem)) throw new Error("it was not refused", { cause: error });
  expect(JSON.stringify([error.message, error.options.why, error.options.errors])).not.toContain(CANARY);
  return error;
}

/** Expects a refusal after which the tenant is as it was: no row, no event, the same epoch. */
export async function expectRefused(
  tenantId: TenantId,
  attempt: () => Promise<unknown>,
  code: ProblemCode,
  why: RegExp | null = null,
): Promise<void> {
  const before = await stateOf(tenantId);
  const problem = await refusalOf(attempt());
  expect(problem.code).toBe(code);
  if (why !== null) expect(problem.options.why).toMatch(why);
  expect(await stateOf(tenantId)).toEqual(before);
}

/** All of a tenant's configuration and waiting events. */
export async function stateOf(tenantId: TenantId): Promise<Record<string, readonly unknown[] | undefined>> {
  const tables = ["connections", "secrets", "audit_outbox"];
  const rows = await d1.batch([
    ...tables.map((table) => d1.prepare(`select * from ${table} where tenant_id = ?`).bind(tenantId)),
    d1.prepare("select epoch from tenants where id = ?").bind(tenantId),
  ]);
  return Object.fromEntries([...tables, "epoch"].map((name, index) => [name, rows[index]?.results]));
}
