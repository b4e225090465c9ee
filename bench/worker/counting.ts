import { AuditLedger as Ledger } from "../../durable-objects/audit-ledger.ts";
import { ScopedToken as Token } from "../../durable-objects/scoped-token.ts";
import { TenantGate as Gate } from "../../durable-objects/tenant-gate.ts";
import worker from "../../src/index.ts";
import { EmbeddedKeyProvider } from "../../src/vault/kms/embedded.ts";

export { ApprovalDesk, BudgetBook, CallerQuotas, NotificationQueue } from "../../src/index.ts";

/**
 * The gateway, with everything that costs counted on its way out: `GET /__counts` tells the counts since the last
 * `DELETE /__counts`. The objects run in the same isolate as the worker here, so one table counts both.
 */
const counts: Record<string, number> = {};

function count(what: string, by = 1): void {
  counts[what] = (counts[what] ?? 0) + by;
}

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** Runs `before` at every call of a method of the object, which stays as it is otherwise. */
function watch<T extends object>(target: T, name: keyof T & string, before: (args: unknown[]) => void): void {
  const original = target[name] as Method;
  const watched: Method = function (...args) {
    before(args);
    return original.apply(this, args);
  };
  Object.defineProperty(target, name, { value: watched, configurable: true, writable: true });
}

/** `kv` puts and deletes and alarms are rows that `rowsWritten` does not see. */
function watchStorage(of: string, { storage }: DurableObjectState): void {
  for (const name of ["put", "delete"] as const) watch(storage.kv, name, () => count(`rows.${of}.kv`));
  for (const name of ["setAlarm", "deleteAlarm"] as const)
    watch(storage, name, () => count(`rows.${of}.alarm`));
  const exec = storage.sql.exec.bind(storage.sql);
  const counted = (query: string, ...bindings: unknown[]) => {
    const cursor = exec(query, ...bindings);
    // A statement that only writes has run by now; of the schema's the count is not asked for.
    if (/^\s*(INSERT|UPDATE|DELETE)/i.test(query)) count(`rows.${of}.sql`, cursor.rowsWritten);
    return cursor;
  };
  Object.defineProperty(storage.sql, "exec", { value: counted, configurable: true });
}

export class ScopedToken extends Token {
  constructor(ctx: DurableObjectState, env: Env) {
    watchStorage("token", ctx);
    super(ctx, countedEnv(env));
  }
}

export class TenantGate extends Gate {
  constructor(ctx: DurableObjectState, env: Env) {
    watchStorage("gate", ctx);
    super(ctx, countedEnv(env));
  }
}

export class AuditLedger extends Ledger {
  constructor(ctx: DurableObjectState, env: Env) {
    watchStorage("ledger", ctx);
    super(ctx, countedEnv(env));
  }
}

interface Namespace {
  idFromName(name: string): unknown;
  get(id: never): object;
}

/** Every method asked of a stub is one round trip. */
function countedNamespace<N extends Namespace>(binding: string, namespace: N): N {
  const get = (id: never) =>
    new Proxy(namespace.get(id), {
      get(stub, name) {
        const method: unknown = Reflect.get(stub, name);
        if (typeof method !== "function" || typeof name !== "string") return method;
        return (...args: unknown[]) => {
          count(`objects.${binding}.${name}`);
          return Reflect.apply(method, stub, args);
        };
      },
    });
  return new Proxy(namespace, {
    get(target, name) {
      if (name === "get") return get;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function watchDatabase(db: D1Database): void {
  const statement: D1PreparedStatement = Object.getPrototypeOf(db.prepare("SELECT 1"));
  for (const name of ["first", "all", "raw", "run"] as const)
    watch(statement, name, () => count("d1.queries"));
  const session: D1DatabaseSession = Object.getPrototypeOf(db.withSession());
  watch(session, "batch", ([statements]) =>
    count("d1.queries", Array.isArray(statements) ? statements.length : 1),
  );
}

for (const name of ["wrap", "unwrap", "rewrap"] as const) {
  watch(EmbeddedKeyProvider.prototype, name, () => count("kms.calls"));
}

const known = new WeakMap<Env, Env>();
let databaseWatched = false;

/** One counted `env` for each `env`: the gateway keeps its isolate's memory by it. */
function countedEnv(env: Env): Env {
  let counted = known.get(env);
  if (counted === undefined) {
    if (!databaseWatched) watchDatabase(env.DB);
    databaseWatched = true;
    counted = {
      ...env,
      SCOPED_TOKEN: countedNamespace("token", env.SCOPED_TOKEN),
      TENANT_GATE: countedNamespace("gate", env.TENANT_GATE),
      AUDIT_LEDGER: countedNamespace("ledger", env.AUDIT_LEDGER),
    };
    known.set(env, counted);
  }
  return counted;
}

export default {
  async fetch(request, env, context): Promise<Response> {
    if (!new URL(request.url).pathname.startsWith("/__counts")) {
      return worker.fetch(request, countedEnv(env), context);
    }
    if (request.method === "DELETE") for (const name of Object.keys(counts)) delete counts[name];
    return Response.json(counts);
  },
} satisfies ExportedHandler<Env>;
