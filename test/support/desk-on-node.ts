import { registerHooks } from "node:module";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import type { DeskObject } from "../../src/approvals/desk.ts";
import { newId } from "../../src/base/ids.ts";
import type { DeskWorld } from "./approval-interleavings.ts";

/**
 * The desk's own class outside of workerd, on Node's SQLite: many thousand runs in minutes. What the platform gives it
 * stands here as little as it uses: storage that outlives it, an alarm that is called by hand, a ledger and a queue that
 * take everything. That it does the same inside workerd, test/worker/approvals/model.test.ts shows.
 */
registerHooks({
  resolve(specifier, context, next) {
    if (specifier !== "cloudflare:workers") return next(specifier, context);
    const source = "export class DurableObject { constructor(ctx, env) { this.ctx = ctx; this.env = env; } }";
    return { url: `data:text/javascript,${encodeURIComponent(source)}`, shortCircuit: true };
  },
});
// Nobody watches here.
Object.assign(globalThis, { WebSocketRequestResponsePair: Object });

type Desk = DeskObject & { alarm(): Promise<void> };

// Its types are the Worker's, which Node's programs do not know.
const module = "../../durable-objects/approval-desk.ts";
const { ApprovalDesk } = (await import(module)) as {
  readonly ApprovalDesk: new (state: unknown, env: unknown) => Desk;
};

const realNow = Date.now.bind(Date);

/** The clock is the machine's again. */
export function realTime(): void {
  Date.now = realNow;
}

export function deskOnNode(): DeskWorld {
  const database = new DatabaseSync(":memory:");
  const values = new Map<string, unknown>();
  const storage = {
    sql: { exec: (query: string, ...bindings: readonly SQLInputValue[]) => run(database, query, bindings) },
    kv: {
      get: (key: string) => values.get(key),
      put: (key: string, value: unknown) => void values.set(key, value),
    },
    setAlarm: async () => undefined,
    deleteAlarm: async () => undefined,
  };
  const state = {
    storage,
    waitUntil: () => undefined,
    getWebSockets: () => [],
    setWebSocketAutoResponse: () => undefined,
  };
  const homes = (object: object) => ({ idFromName: (name: string) => name, get: () => object });
  const env = {
    ENVIRONMENT: "development",
    AUDIT_LEDGER: homes({ append: async () => ({ ok: true }) }),
    NOTIFICATION_QUEUE: homes({ enqueue: async () => undefined }),
  };
  const start = () => new ApprovalDesk(state, env);
  let desk = start();
  return {
    tenantId: newId("tenant"),
    desk: () => desk,
    setTime(at) {
      Date.now = () => at;
    },
    alarm: () => desk.alarm(),
    async restart() {
      desk = start();
    },
  };
}

/** As a Durable Object's: several statements without bindings, or one with them. */
function run(database: DatabaseSync, query: string, bindings: readonly SQLInputValue[]) {
  if (bindings.length === 0 && query.includes(";")) {
    database.exec(query);
    return [];
  }
  const rows = database.prepare(query).all(...bindings);
  return Object.assign(rows, { one: () => rows[0] });
}
