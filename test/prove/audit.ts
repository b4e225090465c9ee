import type { Mutation } from "./mutation.ts";

const VERIFY = ["test/worker/audit/verify.test.ts"];

export const AUDIT: readonly Mutation[] = [
  {
    attack: 81,
    what: "a row of the ledger is never updated",
    file: "durable-objects/audit-ledger.ts",
    find: "BEFORE UPDATE ON blocks",
    replace: "BEFORE UPDATE ON blocks WHEN 0",
    tests: ["test/worker/audit/ledger.test.ts"],
  },
  {
    attack: 81,
    what: "a row of the ledger is never deleted",
    file: "durable-objects/audit-ledger.ts",
    find: "BEFORE DELETE ON blocks",
    replace: "BEFORE DELETE ON blocks WHEN 0",
    tests: ["test/worker/audit/ledger.test.ts"],
  },
  {
    attack: 81,
    what: "an event's hash is over all of it and its predecessor's",
    file: "src/audit/chain.ts",
    find: "return sha256Hex(previousHash + canonicalJson(event));",
    replace: "return sha256Hex(previousHash + canonicalJson(event.id));",
    tests: VERIFY,
  },
  {
    attack: 82,
    what: "what breaks a line, turns text round or cannot be seen is written out",
    file: "src/audit/clean.ts",
    find: ".replace(INVISIBLE, escaped)",
    replace: "",
    tests: ["test/attacks/audit.test.ts"],
  },
  {
    attack: 87,
    what: "a route is for the roles that it names",
    file: "src/api/authentication.ts",
    find: 'caller.kind === "member" && roles.includes(caller.role)',
    replace: 'caller.kind === "member"',
    tests: ["test/worker/api/roles.test.ts"],
  },
  {
    attack: 84,
    what: "an export of the trail is in the trail",
    file: "src/audit/export.ts",
    find: "  await ledger.record({",
    replace: "  ({",
    tests: ["test/worker/audit/export.test.ts"],
  },
  {
    attack: 84,
    what: "an export of what is known about secrets is in the trail",
    file: "src/vault/secret-export.ts",
    find: "      .insert(auditOutbox)\n      .values({ event: fitForOutbox(event) });",
    replace: "      .select().from(auditOutbox).limit(0);\n    fitForOutbox(event);",
    tests: ["test/worker/vault/worker-door.test.ts"],
  },
  {
    attack: 83,
    what: "no cell of a table is taken for a formula",
    file: "src/base/csv.ts",
    find: 'return `"${harmless(cell).replaceAll(',
    replace: 'return `"${cell.replaceAll(',
    tests: ["test/worker/audit/export.test.ts"],
  },
];
