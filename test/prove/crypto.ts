import type { Edit, Mutation } from "./mutation.ts";

const TESTS = ["test/attacks/crypto.test.ts"];
const FOREIGN = ["test/attacks/crypto-foreign-ids.test.ts"];
const ENVELOPE = "src/vault/envelope.ts";

/** The guard that runs no statement without its tenant would stop what lacks one, and say so. */
const UNGUARDED: Edit = {
  file: "src/base/database.ts",
  find: "new GuardedDatabase(d1, tenantId);",
  replace: "d1 as D1Database;",
};

export const CRYPTO: readonly Mutation[] = [
  {
    attack: 70,
    what: "an envelope is bound to its tenant, path and version",
    file: ENVELOPE,
    find: "format, binding.tenantId, binding.path, binding.version",
    replace: "format",
    tests: TESTS,
  },
  {
    attack: 70,
    what: "each tenant has a key-encryption key of its own",
    file: "src/vault/kms/embedded.ts",
    find: '["valetkey kek", tenantId, version',
    replace: '["valetkey kek", version',
    also: [
      { file: ENVELOPE, find: "format, binding.tenantId, binding.path", replace: "format, binding.path" },
    ],
    tests: TESTS,
  },
  {
    attack: 70,
    what: "a key-encryption key with a name is another one",
    file: "src/vault/kms/embedded.ts",
    find: "const named = name === null ? [] : [name];",
    replace: "const named: string[] = [];",
    tests: ["test/worker/vault/namespaces.test.ts"],
  },
  {
    attack: 71,
    what: "an envelope of another format does not open",
    file: ENVELOPE,
    find: "if (envelope.format !== FORMAT) throw cannotOpen(`unknown format ${envelope.format}`);\n  return askKeys",
    replace: "return askKeys",
    also: [
      {
        file: ENVELOPE,
        find: "if (envelope.format !== FORMAT) throw cannotOpen(`unknown format ${envelope.format}`);\n  if (",
        replace: "if (",
      },
      { file: ENVELOPE, find: "format, binding.tenantId", replace: "FORMAT, binding.tenantId" },
    ],
    tests: TESTS,
  },
  {
    attack: 72,
    what: "every root key that is configured opens what was sealed under it",
    file: "src/vault/kms/embedded.ts",
    find: "const root = this.#roots.get(version);",
    replace: "const root = [...this.#roots.values()][0];",
    tests: TESTS,
  },
  {
    attack: 73,
    what: "every statement is the caller's tenant's",
    file: "src/base/tenant-dialect.ts",
    find: "return found === null ? inner : and(eq(found[1], this.#tenantId), inner);",
    replace: "return inner;",
    also: [UNGUARDED],
    tests: TESTS,
  },
  {
    attack: 73,
    what: "every statement is the caller's tenant's, also where the other one is a real tenant",
    file: "src/base/tenant-dialect.ts",
    find: "return found === null ? inner : and(eq(found[1], this.#tenantId), inner);",
    replace: "return inner;",
    also: [UNGUARDED],
    tests: FOREIGN,
  },
  {
    attack: 73,
    what: "every statement is the caller's tenant's, on every route with ids",
    file: "src/base/tenant-dialect.ts",
    find: "return found === null ? inner : and(eq(found[1], this.#tenantId), inner);",
    replace: "return inner;",
    also: [UNGUARDED],
    tests: ["test/attacks/crypto-every-route.test.ts"],
  },
  {
    attack: 73,
    what: "another tenant's token is not introspected",
    file: "src/tokens/routes.ts",
    find: "grant.tenantId !== caller.tenantId ||",
    replace: "",
    tests: FOREIGN,
  },
  {
    attack: 73,
    what: "each tenant has a ledger of its own",
    file: "src/audit/audit.ts",
    find: "objectIdFor(this.#ledgers, this.#environment, tenantId as TenantId)",
    replace: 'this.#ledgers.idFromName("ledger")',
    tests: FOREIGN,
  },
  {
    attack: 73,
    what: "each tenant has a gate of its own",
    file: "src/objects.ts",
    find: "objectIdFor(env.TENANT_GATE, env.ENVIRONMENT, tenantId)",
    replace: 'env.TENANT_GATE.idFromName("gate")',
    tests: FOREIGN,
  },
];
