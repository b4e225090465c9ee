import type { Mutation } from "./mutation.ts";

const TESTS = ["test/attacks/address.test.ts"];
const ADDRESSES = "src/base/address.ts";

export const ADDRESS: readonly Mutation[] = [
  {
    attack: 59,
    what: "an address is never taken from what a client can write",
    file: "src/api/client-address.ts",
    find: "const told = toldAddress(",
    replace: 'const told = request.headers.get("x-forwarded-for") ?? toldAddress(',
    tests: TESTS,
  },
  {
    attack: 60,
    what: "an allowlist does not hold /0",
    file: ADDRESSES,
    find: "if (bits === 0) return",
    replace: "if (false) return",
    tests: TESTS,
  },
  {
    attack: 60,
    what: "a network has no host bits",
    file: ADDRESSES,
    find: "if (network !== address)",
    replace: "if (false)",
    tests: TESTS,
  },
  {
    attack: 60,
    what: "IPv4-mapped IPv6 is the IPv4 address",
    file: ADDRESSES,
    find: "return address.isIPv4MappedAddress() ?",
    replace: "return false ?",
    tests: TESTS,
  },
  {
    attack: 61,
    what: "a call without an address is refused",
    file: "src/gateway/decide.ts",
    find: "if (call.info.ip === null) {",
    replace: "if (false) {",
    tests: TESTS,
  },
  {
    attack: 62,
    what: "an address that anybody's Worker has says nothing",
    file: "src/gateway/call.ts",
    find: "client.shared ? null : client.address",
    replace: "client.address",
    tests: TESTS,
  },
  {
    attack: 62,
    what: "a request that a Worker sent is known by its CF-Worker header",
    file: "src/api/client-address.ts",
    find: 'request.headers.has("cf-worker") ||',
    replace: "",
    tests: TESTS,
  },
];
