import type { Mutation } from "./mutation.ts";

const TESTS = ["test/attacks/token.test.ts"];

export const TOKEN: readonly Mutation[] = [
  {
    attack: 50,
    what: "a token stands in a URL only where the provider declares it",
    file: "src/gateway/authenticate.ts",
    find: "if (tokenIn.some((known) => isSame(known, place))) return;",
    replace: "return;",
    tests: TESTS,
  },
  {
    attack: 51,
    what: "a token stands where its provider takes one, and in no other header",
    file: "src/gateway/authenticate.ts",
    find: "if (dpop || places.some((one) => isOwn(one) ||",
    replace: "if (true || places.some((one) => isOwn(one) ||",
    tests: TESTS,
  },
  {
    attack: 51,
    what: "a scheme is the provider's own",
    file: "src/gateway/authenticate.ts",
    find: " && known.scheme === place.scheme",
    replace: "",
    tests: TESTS,
  },
  {
    attack: 57,
    what: "a token's tag is checked",
    file: "src/tokens/token.ts",
    find: "if (!equalDigests(",
    replace: "if (false && !equalDigests(",
    tests: TESTS,
  },
  {
    attack: 57,
    what: "whatever is refused, a revoked token hears what one hears that never was",
    file: "src/gateway/denied.ts",
    find: "if (await gateway.admission.isRevoked(call.grant)) return unauthorized();",
    replace: "",
    tests: ["test/worker/tokens/door.test.ts"],
  },
  {
    attack: 57,
    what: "a revoked token that is charged hears the same",
    file: "src/tokens/denial.ts",
    find: "return unauthorized();",
    replace: 'return new Problem("UNAUTHORIZED", "This token was revoked.");',
    tests: TESTS,
  },
  {
    attack: 57,
    what: "an address that has tried too many credentials is refused before any is looked up",
    file: "src/api/counted.ts",
    find: "if (spent !== null) count(spent);",
    replace: "",
    tests: ["test/worker/api/rate-limits.test.ts"],
  },
];
