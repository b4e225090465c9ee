import { env } from "cloudflare:workers";

type Binding = "SCOPED_TOKEN" | "TENANT_GATE" | "AUDIT_LEDGER" | "APPROVAL_DESK";

/** What stands between the Worker and what it is bound to. Both may throw, wait, or never come back. */
export interface Faults {
  /** Before each round trip to D1; is told its SQL. */
  database: (sql: string) => Promise<void>;
  /** Instead of each call of an object; `pass` makes it. */
  object: (called: `${Binding}.${string}`, pass: () => Promise<unknown>) => Promise<unknown>;
}

export interface FailingEnv {
  /** A new isolate for all that is kept by the env: grants, leases, waiting outcomes. */
  readonly bindings: Env;
  readonly faults: Faults;
  /** The SQL of each round trip to D1. */
  readonly reads: string[];
  /** `BINDING.method`, in order. */
  readonly calls: string[];
  /** Everything works again, and nothing has been counted. */
  heal(): void;
}

const NO_FAULTS: Faults = { database: async () => undefined, object: (_called, pass) => pass() };

/** How an object says that it has too much to do. */
export class Overloaded extends Error {
  readonly overloaded = true;
}

/** What D1 answers with when it is away. */
export const D1_DOWN = new Error("D1_ERROR: Network connection lost.");

export const never = (): Promise<never> => new Promise(() => undefined);

/** The Worker's bindings, real behind what `faults` does to them. */
export function failingEnv(): FailingEnv {
  const failing: Omit<FailingEnv, "bindings"> = {
    faults: { ...NO_FAULTS },
    reads: [],
    calls: [],
    heal() {
      Object.assign(failing.faults, NO_FAULTS);
      failing.reads.length = 0;
      failing.calls.length = 0;
    },
  };
  const bindings = new Proxy(env as Env, {
    get(target, key: keyof Env) {
      switch (key) {
        case "SCOPED_TOKEN":
        case "TENANT_GATE":
        case "AUDIT_LEDGER":
        case "APPROVAL_DESK":
          return namespace(key, target[key], failing);
        case "DB":
          return database(target.DB, failing);
        default:
          return target[key];
      }
    },
  });
  return { ...failing, bindings };
}

type Failing = Pick<FailingEnv, "faults" | "reads" | "calls">;

function namespace<T extends object>(name: Binding, binding: T, { faults, calls }: Failing): T {
  return new Proxy(binding, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== "function") return value;
      if (key !== "get") return value.bind(target);
      return (id: unknown) =>
        new Proxy(value.call(target, id) as object, {
          get(stub, method) {
            const run: unknown = Reflect.get(stub, method);
            if (typeof run !== "function" || typeof method === "symbol") return run;
            return (...args: unknown[]) => {
              calls.push(`${name}.${method}`);
              // Not `.apply`: on an RPC stub that would be the name of a remote method.
              return faults.object(`${name}.${method}`, async () => Reflect.apply(run, stub, args));
            };
          },
        });
    },
  });
}

const texts = new WeakMap<D1PreparedStatement, string>();

function database<T extends D1Database | D1DatabaseSession>(real: T, failing: Failing): T {
  const trip = async <R>(sql: string, pass: () => Promise<R>): Promise<R> => {
    failing.reads.push(sql);
    await failing.faults.database(sql);
    return pass();
  };
  return new Proxy(real, {
    get(target, key) {
      switch (key) {
        case "prepare":
          return (sql: string) => statement(target.prepare(sql), sql, trip);
        case "batch":
          return (list: D1PreparedStatement[]) =>
            trip(list.map((each) => texts.get(each) ?? "").join("; "), () => target.batch(list));
        case "withSession":
          return (from: string) => database((target as D1Database).withSession(from), failing);
        default: {
          const value: unknown = Reflect.get(target, key);
          return typeof value === "function" ? value.bind(target) : value;
        }
      }
    },
  });
}

/** The statement itself, since D1 looks into those of a batch; only its methods are replaced. */
function statement(
  real: D1PreparedStatement,
  sql: string,
  trip: <R>(sql: string, pass: () => Promise<R>) => Promise<R>,
): D1PreparedStatement {
  texts.set(real, sql);
  const bind = real.bind.bind(real);
  real.bind = (...values) => statement(bind(...values), sql, trip);
  for (const method of ["all", "raw", "first", "run"] as const) {
    const run = real[method].bind(real) as (...args: unknown[]) => Promise<unknown>;
    Object.assign(real, { [method]: (...args: unknown[]) => trip(sql, () => run(...args)) });
  }
  return real;
}
