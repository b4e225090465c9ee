import type { Mutation } from "./mutation.ts";

const TESTS = ["test/attacks/concurrency.test.ts"];
const TOKEN_OBJECT = "durable-objects/scoped-token.ts";

export const CONCURRENCY: readonly Mutation[] = [
  {
    attack: 63,
    what: "between counting a token's uses and writing the next one there is no await",
    file: TOKEN_OBJECT,
    find: "const uses = this.#state.uses + 1;",
    replace: "await scheduler.wait(1); const uses = this.#state.uses + 1;",
    tests: TESTS,
  },
  {
    attack: 64,
    what: "a use is durable before anything leaves",
    file: TOKEN_OBJECT,
    find: "this.ctx.storage.kv.put(`slot:",
    replace: "((..._nothing: unknown[]) => undefined)(`slot:",
    tests: TESTS,
  },
  {
    attack: 65,
    what: "a call id that was charged gets the recorded verdict",
    file: TOKEN_OBJECT,
    find: "if (recorded !== undefined) return recorded;",
    replace: "",
    tests: ["test/worker/tokens/exactness.test.ts"],
  },
  {
    attack: 65,
    what: "the call id is the gateway's own, drawn for every request",
    file: "src/gateway/proxy.ts",
    find: 'const callId = newId("call");',
    replace: 'const callId = call.request.headers.get("idempotency-key") ?? newId("call");',
    tests: TESTS,
  },
  {
    attack: 67,
    what: "the ledger keeps one of each event",
    file: "durable-objects/audit-ledger.ts",
    find: "if (recent.has(event.id) || stored.has(event.id) ||",
    replace: "if (",
    tests: ["test/worker/audit/redelivery.test.ts"],
  },
  {
    attack: 68,
    what: "a warm call asks the database nothing",
    file: "src/connections/connections.ts",
    find: "return atHand.get(`${tenantId} ${slug}`, epoch, () => readConnection(db, tenantId, slug), waitUntil);",
    replace: "return readConnection(db, tenantId, slug);",
    tests: TESTS,
  },
  {
    attack: 69,
    what: "a credential that is not at hand is opened before the charge",
    file: "src/gateway/proxy.ts",
    find: "!credentials.isWarm(sealed)",
    replace: "false",
    tests: TESTS,
  },
];
