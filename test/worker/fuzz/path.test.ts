import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalPath } from "../../../src/gateway/target.ts";
import { checkRead, checkRewrite } from "../../fuzz/targets/hosts.ts";
import { checkWithout } from "../../fuzz/targets/parameters.ts";
import { checkTarget } from "../../fuzz/targets/path.ts";
import { valueOf } from "../../fuzz/input.ts";

const runs = { numRuns: 2_000, seed: 20_261_122 };
const pieces = (...from: string[]) =>
  fc
    .array(fc.oneof(fc.constantFrom(...from), fc.string({ maxLength: 2 })), { maxLength: 10 })
    .map((parts) => parts.join(""));

const path = pieces(
  ...[
    "/",
    "/",
    ".",
    "..",
    "%2e",
    "%2E",
    "%2f",
    "%5c",
    "%25",
    "%3b",
    "%00",
    "%c3%a9",
    "%7e",
    "%zz",
    "\\",
    ";",
    "a",
    "v1",
    "{x}",
    "|",
    "^",
    "`",
  ],
);
const query = pieces(
  "&",
  "&",
  ";",
  "=",
  "_method",
  "key",
  "KEY",
  "%6b",
  "%256b",
  "[]",
  "+",
  "%00",
  ".",
  "_",
  "a",
  "%",
  "#",
  "'",
);
const url = pieces(
  ...[
    "https://",
    "http://",
    "//",
    "/",
    "api.x.com",
    "api.x.com:8443",
    "api.mapped.dev",
    "up.gw.dev",
    "gateway.dev",
    "/proxy/up",
    "/v1",
  ],
  ...["?", "#", "@", ":443", "%2e", "..", "\t"],
);

describe("a request's path and query", () => {
  it("attacks 23 to 27: are sent as they were checked, and mean the same however often they are decoded", () => {
    fc.assert(
      fc.property(path, query, (text, rest) => checkTarget(`/${text}`, rest)),
      runs,
    );
    fc.assert(
      fc.property(path, (text) => {
        const canonical = valueOf(() => canonicalPath(`/${text}`));
        if (canonical !== undefined) expect(canonicalPath(canonical)).toBe(canonical);
      }),
      runs,
    );
  });

  it("attack 29: hold no parameter of the credential's name, in any spelling, once it was taken out", () => {
    fc.assert(
      fc.property(query, fc.constantFrom("key", "api_key", "_method", "a.b"), (text, name) =>
        checkWithout(text, name),
      ),
      runs,
    );
  });

  it("attacks 6, 7: name one connection, the same each time they are read", () => {
    fc.assert(fc.property(url, checkRead), runs);
  });

  it("attack 92: lead, from the upstream's answer, back through the gateway or to where the upstream said", () => {
    const name = fc.constantFrom("location", "content-location", "x-upload-url");
    fc.assert(
      fc.property(name, url, (header, value) => {
        if (/^[\x21-\x7e]*$/.test(value)) checkRewrite(header, value);
      }),
      runs,
    );
  });
});
