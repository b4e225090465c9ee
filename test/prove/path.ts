import type { Mutation } from "./mutation.ts";

const TESTS = ["test/attacks/path.test.ts"];
const TARGET = "src/gateway/target.ts";

export const PATH: readonly Mutation[] = [
  {
    attack: [23, 25],
    what: "no decoded segment is a dot segment",
    file: TARGET,
    find: 'if (decoded.split("/").some((part) => part === "." || part === ".."))',
    replace: "if (false)",
    tests: TESTS,
  },
  {
    attack: 24,
    what: "no escape within an escape",
    file: TARGET,
    find: "if (/%[0-9A-Fa-f]{2}/.test(decoded))",
    replace: "if (false)",
    tests: TESTS,
  },
  {
    attack: 26,
    what: "no backslash",
    file: TARGET,
    find: 'if (decoded.includes("\\\\"))',
    replace: "if (false)",
    tests: TESTS,
  },
  {
    attack: 26,
    what: "no semicolon",
    file: TARGET,
    find: 'if (decoded.includes(";"))',
    replace: "if (false)",
    tests: TESTS,
  },
  {
    attack: 26,
    what: "no empty segment",
    file: TARGET,
    find: 'if (segment === "" && index > 0 && index < segments.length - 1)',
    replace: "if (false)",
    tests: TESTS,
  },
  {
    attack: 26,
    what: "no control character",
    file: TARGET,
    find: "if (/[\\u0000-\\u001f\\u007f-\\u009f]/.test(decoded))",
    replace: "if (false)",
    tests: TESTS,
  },
  {
    attack: 27,
    what: "the target is read from the bytes that were sent",
    file: "src/gateway/hosts.ts",
    find: "const target = parseTarget(rawUrl);",
    replace: "const target = parseTarget(new URL(decodeURI(rawUrl)).href);",
    tests: TESTS,
  },
  {
    attack: 28,
    what: "no header changes the method after it was checked",
    file: "src/gateway/headers.ts",
    find: "if (METHOD_OVERRIDES.includes(folded))",
    replace: "if (false)",
    tests: TESTS,
  },
  {
    attack: 28,
    what: "no parameter changes the method after it was checked",
    file: TARGET,
    find: "if (MAY_OVERRIDE.test(query) &&",
    replace: "if (false &&",
    tests: TESTS,
  },
  {
    attack: 29,
    what: "the credential's key has no second value",
    file: "src/credentials/kinds/query.ts",
    find: "outgoing.query = withoutParameter(outgoing.query, name);",
    replace: "",
    tests: TESTS,
  },
];
