import type { Mutation } from "./mutation.ts";

const TESTS = ["test/attacks/headers.test.ts"];
const HEADERS = "src/gateway/headers.ts";

export const HEADER: readonly Mutation[] = [
  {
    attack: 30,
    what: "the credential is attached after everything was stripped",
    file: "src/gateway/proxy.ts",
    find: "const upstream = await forward(",
    replace:
      'for (const name of (call.request.headers.get("connection") ?? "x").split(",")) draft.outgoing.headers.delete(name.trim()); const upstream = await forward(',
    tests: TESTS,
  },
  {
    attack: 30,
    what: "what Connection names is left out",
    file: HEADERS,
    find: "NEVER_SENT.has(folded) || named.has(name)",
    replace: "NEVER_SENT.has(folded)",
    tests: TESTS,
  },
  {
    attack: 31,
    what: "hop-by-hop headers end here",
    file: HEADERS,
    find: "if (HOP_BY_HOP.has(folded) || NEVER_SENT",
    replace: "if (NEVER_SENT",
    tests: TESTS,
  },
  {
    attack: 32,
    what: "the client's own credential header is taken off, in every spelling",
    file: HEADERS,
    find: "if (route.strippedHeaders.has(folded)) continue;",
    replace: "",
    tests: TESTS,
  },
  {
    attack: 33,
    what: "a secret that would break out of its header is refused",
    file: "src/credentials/header-field.ts",
    find: "if (!VALUE.test(text)) {",
    replace: "if (false) {",
    tests: TESTS,
  },
  {
    attack: 34,
    what: "cookies end here",
    file: HEADERS,
    find: '"cookie",',
    replace: "",
    tests: TESTS,
  },
  {
    attack: 34,
    what: "proxy credentials end here",
    file: HEADERS,
    find: '"proxy-authorization",',
    replace: "",
    tests: TESTS,
  },
  {
    attack: 34,
    what: "headers of Cloudflare's, its Access tokens among them, end here",
    file: HEADERS,
    find: '["cf-", ',
    replace: "[",
    tests: TESTS,
  },
  {
    attack: 35,
    what: "the upstream's cookies do not reach the gateway's origin",
    file: HEADERS,
    find: '"set-cookie",',
    replace: "",
    tests: TESTS,
  },
];
