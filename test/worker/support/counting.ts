import { env } from "cloudflare:workers";

export interface Counts {
  /** Durable Object calls by binding and method. */
  readonly objects: Map<string, number>;
  d1: number;
}

/**
 * The Worker's bindings with every call to a Durable Object and every D1 statement counted. What is behind them is
 * real.
 */
export function countingEnv(): { readonly bindings: Env; readonly counts: Counts } {
  const counts: Counts = { objects: new Map(), d1: 0 };
  const real = env as Env;
  const namespace = <T extends object>(name: string, binding: T): T =>
    new Proxy(binding, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== "function") return value;
        if (key !== "get") return value.bind(target);
        return (id: unknown) => countedStub(name, value.call(target, id) as object, counts);
      },
    });
  const bindings = new Proxy(real, {
    get(target, key: keyof Env) {
      switch (key) {
        case "SCOPED_TOKEN":
        case "TENANT_GATE":
        case "AUDIT_LEDGER":
        case "APPROVAL_DESK":
        case "BUDGET_BOOK":
          return namespace(key, target[key] as object);
        case "DB":
          return countedDatabase(target.DB, counts);
        default:
          return target[key];
      }
    },
  });
  return { bindings, counts };
}

function countedStub(name: string, stub: object, counts: Counts): object {
  return new Proxy(stub, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== "function" || typeof key === "symbol") return value;
      return (...args: unknown[]) => {
        const called = `${name}.${key}`;
        counts.objects.set(called, (counts.objects.get(called) ?? 0) + 1);
        // Not `.apply`: on an RPC stub that would be the name of a remote method.
        return Reflect.apply(value, target, args);
      };
    },
  });
}

function countedDatabase(database: D1Database, counts: Counts): D1Database {
  return new Proxy(database, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (key === "prepare" || key === "exec") counts.d1++;
        if (key === "withSession") return countedDatabase(value.apply(target, args) as D1Database, counts);
        return value.apply(target, args);
      };
    },
  });
}
