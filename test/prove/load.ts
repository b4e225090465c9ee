import type { Mutation } from "./mutation.ts";

const TESTS = ["test/attacks/load.test.ts"];

export const LOAD: readonly Mutation[] = [
  {
    attack: 88,
    what: "a glob is matched without going back",
    file: "src/base/glob.ts",
    find: "export function matchesGlob(pattern: string, text: string): boolean {",
    replace:
      'export function matchesGlob(pattern: string, text: string): boolean {\n  if (pattern.length > 0) return new RegExp(`^${pattern.replaceAll("*", ".*")}$`).test(text);',
    tests: TESTS,
  },
  {
    attack: 88,
    what: "the search gives up skipping where a body is made to be compared in vain",
    file: "src/gateway/redact/scanner.ts",
    find: "const PATIENCE = 4;",
    replace: "const PATIENCE = 1e9;",
    tests: ["test/worker/redact/work.test.ts"],
  },
  {
    attack: 89,
    what: "a body is cut off by what really arrives",
    file: "src/base/request.ts",
    find: "if (end > maxBytes) throw tooLarge(maxBytes);",
    replace: "",
    tests: TESTS,
  },
  {
    attack: 90,
    what: "each token has an object of its own",
    file: "src/services.ts",
    find: "env.SCOPED_TOKEN.idFromName(tokenId)",
    replace: 'env.SCOPED_TOKEN.idFromName("all")',
    tests: TESTS,
  },
  {
    attack: 91,
    what: "a connection leads only where its secret may go",
    file: "src/connections/settle.ts",
    find: "if (isAllowedHost(destination, secret.allowedHosts)) return null;",
    replace: "return null;",
    tests: TESTS,
  },
  {
    attack: 91,
    what: "nobody alone widens the hosts of a secret above the standard tier",
    file: "src/vault/settle.ts",
    find: 'if (next.accessTier !== "standard" &&',
    replace: "if (false &&",
    tests: TESTS,
  },
  {
    attack: 91,
    what: "nobody alone lowers a tier",
    file: "src/vault/settle.ts",
    find: "if (strictness(next.accessTier) < strictness(held.accessTier)) {",
    replace: "if (false) {",
    tests: TESTS,
  },
  {
    attack: 91,
    what: "an agent's token decides on no host",
    file: "src/vault/settle.ts",
    find: 'if (caller.kind === "token" && write.allowedHosts !== undefined) {',
    replace: "if (false) {",
    tests: TESTS,
  },
  {
    attack: 91,
    what: "nobody alone moves a connection of a secret above the standard tier",
    file: "src/connections/settle.ts",
    find: "if (strict === undefined || strict === null) return;",
    replace: "return;",
    tests: ["test/worker/connections/connections.test.ts"],
  },
];
