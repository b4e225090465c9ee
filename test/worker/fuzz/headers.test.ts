import fc from "fast-check";
import { describe, it } from "vitest";
import { checkRequest, checkResponse, NAMES } from "../../fuzz/targets/headers.ts";

const runs = { numRuns: 1_000, seed: 20_261_122 };
const name = fc.oneof(fc.constantFrom(...NAMES), fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/));
const listed = fc.array(
  fc.tuple(fc.constantFrom("", " ", "\t", " \t"), name, fc.constantFrom(",", " ,", ",,")),
  { maxLength: 5 },
);
const value = fc.oneof(
  listed.map((parts) => parts.map((part) => part.join("")).join("")),
  fc.stringMatching(/^[\x21-\x7e]{0,30}$/),
  fc.constantFrom("vkt_x", "Bearer vka_x", "https://api.x.com/v1", "websocket", "close"),
);
const field = fc.oneof(fc.tuple(fc.constant("connection"), value), fc.tuple(name, value));
const fields = fc.array(field, { maxLength: 12 });

describe("attacks 30 to 35: whatever `Connection` and any other header say", () => {
  it("no hop-by-hop header and no credential of the client's goes on, and what is end-to-end does", () => {
    fc.assert(fc.property(fields, fc.boolean(), checkRequest), runs);
  });

  it("none comes back about the gateway's origin or the hop, and nothing may be cached", () => {
    fc.assert(fc.property(fields, checkResponse), runs);
  });
});
