import type { Mutation } from "./mutation.ts";

const TESTS = ["test/attacks/crypto.test.ts"];
const ENVELOPE = "src/vault/envelope.ts";

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
    find: '["valetkey kek", tenantId, version]',
    replace: '["valetkey kek", version]',
    also: [
      { file: ENVELOPE, find: "format, binding.tenantId, binding.path", replace: "format, binding.path" },
    ],
    tests: TESTS,
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
    what: "a connection is looked for in the caller's tenant",
    file: "src/connections/connection-rows.ts",
    find: "return and(eq(connections.tenantId, tenantId), eq(connections.slug, slug));",
    replace: "return eq(connections.slug, slug);",
    tests: TESTS,
  },
  {
    attack: 73,
    what: "an agent is looked for in the caller's tenant",
    file: "src/identity/agents.ts",
    find: "return and(eq(agents.tenantId, tenantId), eq(agents.id, agentId), isNull(agents.deletedAt));",
    replace: "return and(eq(agents.id, agentId), isNull(agents.deletedAt));",
    tests: TESTS,
  },
  {
    attack: 73,
    what: "a token is looked for in the caller's tenant",
    file: "src/tokens/tokens.ts",
    find: ".where(and(eq(tokens.tenantId, tenantId), eq(tokens.id, tokenId)))\n      .limit(1);",
    replace: ".where(eq(tokens.id, tokenId))\n      .limit(1);",
    tests: TESTS,
  },
  {
    attack: 73,
    what: "a secret is looked for in the caller's tenant",
    file: "src/vault/secret-index.ts",
    find: "return and(eq(secrets.tenantId, tenantId), isNull(secrets.deletedAt));",
    replace: "return isNull(secrets.deletedAt);",
    tests: TESTS,
  },
  {
    attack: 73,
    what: "a secret is changed in the caller's tenant",
    file: "src/vault/secret-changes.ts",
    find: "eq(secrets.tenantId, tenantId),\n            inArray(",
    replace: "inArray(",
    tests: TESTS,
  },
];
