import type { Mutation } from "./mutation.ts";

const TESTS = ["test/attacks/redirect.test.ts"];
const OWN_URLS = ["test/attacks/load-own-urls.test.ts"];

/* That redirects are not followed at all (17, 18, 19, 21) is with attack 14, in destination.ts. */
export const REDIRECT: readonly Mutation[] = [
  {
    attack: [20, 22],
    what: "headers are masked, those that are URLs too",
    file: "src/gateway/headers.ts",
    find: "redact(rewriteUrls(name, redact(value), rewrite))",
    replace: "rewriteUrls(name, value, rewrite)",
    tests: TESTS,
  },
  {
    attack: [22, 34],
    what: "a header of the client's that holds one of our tokens is left out",
    file: "src/gateway/headers.ts",
    find: "if (OWN_CREDENTIAL.test(value)) continue;",
    replace: "",
    tests: ["test/attacks/redirect.test.ts", "test/attacks/headers.test.ts"],
  },
  {
    attack: 92,
    what: "the provider's own URLs lead to the gateway",
    file: "src/gateway/hosts.ts",
    find: "return prefix + parsed.pathname.slice(basePath.length) + parsed.search + parsed.hash;",
    replace: "return url;",
    tests: OWN_URLS,
  },
  {
    attack: 92,
    what: "only URLs at the connection's own host become the gateway's",
    file: "src/gateway/hosts.ts",
    find: "parsed.host !== destination.authority ||",
    replace: "",
    tests: OWN_URLS,
  },
];
