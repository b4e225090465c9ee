import { env } from "cloudflare:workers";
import { type Database, openDatabase } from "../../../src/base/database.ts";
import { newId, type AgentId, type TenantId } from "../../../src/base/ids.ts";
import { Problem } from "../../../src/base/problem.ts";
import { GuardedDatabase } from "../../../src/base/statement-guard.ts";
import { agentKeys, agents, tenants } from "../../../src/identity/tables.ts";

/** A real D1 that counts what it was asked to prepare, run alone or run in a batch. */
export function watchedD1(): { readonly d1: D1Database; readonly prepared: () => number } {
  let count = 0;
  const d1 = new Proxy((env as Env).DB, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== "function") return value;
      return (...args: unknown[]): unknown => {
        if (key === "prepare" || key === "exec") count++;
        return Reflect.apply(value, target, args);
      };
    },
  });
  return { d1, prepared: () => count };
}

export interface Team {
  readonly tenantId: TenantId;
  readonly agentId: AgentId;
}

/** A tenant with one agent, named like its tenant, and one key. */
export async function newTeam(database: Database = openDatabase(env as Env)): Promise<Team> {
  const tenantId = newId("tenant");
  const agentId = newId("agent");
  const db = database.of(tenantId);
  const bounds = { allowedNamespaces: [], allowedScopes: [], ipAllowlist: [] };
  const times = { createdAt: 1, updatedAt: 1 };
  await db.batch([
    db.insert(tenants).values({ id: tenantId, name: tenantId, settings: { reveal: "deny" }, createdAt: 1 }),
    db.insert(agents).values({ id: agentId, name: tenantId, description: "", ...bounds, ...times }),
    db.insert(agentKeys).values({ id: newId("agentKey"), agentId, digest: agentId, createdAt: 1 }),
  ]);
  return { tenantId, agentId };
}

export function guarded(tenantId: TenantId, d1: D1Database = (env as Env).DB): GuardedDatabase {
  return new GuardedDatabase(d1, tenantId);
}

/** The code that something was refused with, "none" where it was not. */
export async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return "none";
  } catch (error) {
    for (let at: unknown = error; at instanceof Error; at = at.cause)
      if (at instanceof Problem) return at.code;
    throw error;
  }
}
