import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalAddress, cidrSchema } from "../../../src/base/address.ts";
import { checkAddress, checkCidr, checkMembership, writeAddress } from "../../fuzz/targets/address.ts";

const runs = { numRuns: 2_000, seed: 20_261_122 };
const bigint = (bits: number) => fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n });
/** Numbers with long runs of zeros, where `::` stands, or of ones. */
const groups = fc
  .array(fc.oneof(fc.constantFrom(0n, 0n, 1n, 0xffffn), bigint(16)), { minLength: 8, maxLength: 8 })
  .map((parts) => parts.reduce((sum, part) => (sum << 16n) | part, 0n));
const v6 = groups.map((value) =>
  value >> 32n === 0xffffn ? { width: 128 as const, value: 1n } : { width: 128 as const, value },
);
const v4 = bigint(32).map((value) => ({ width: 32 as const, value }));
const address = fc.oneof(v4, v6);

/** Ranges around an address, so that some hold it: host bits cleared or not. */
const around = fc
  .record({ of: address, bits: fc.nat(128), shift: bigint(8), clears: fc.boolean() })
  .map(({ of: { width, value }, bits: any, shift, clears }) => {
    const bits = any % (width + 1);
    const host = (1n << BigInt(width - bits)) - 1n;
    const moved = value ^ (shift << BigInt(Math.max(0, width - bits - 4)));
    const kept = BigInt.asUintN(width, clears ? moved & ~host : moved);
    return { text: writeAddress({ width, value }), cidr: `${writeAddress({ width, value: kept })}/${bits}` };
  });

/** Text that is nearly an address. */
const nearly = fc
  .array(
    fc.constantFrom(
      "0",
      "1",
      "255",
      "256",
      "01",
      "0x7f",
      "ffff",
      "FFFF",
      "00001",
      ".",
      ".",
      ":",
      ":",
      "::",
      "%eth0",
      "/",
      "1.2.3.4",
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(""));

const EDGES = [
  ...[
    "0.0.0.0/0",
    "::/0",
    "0.0.0.0/1",
    "128.0.0.0/1",
    "8000::/1",
    "1.2.3.4/31",
    "1.2.3.5/31",
    "1.2.3.4/32",
    "1.2.3.4/33",
  ],
  ...[
    "::1/127",
    "::/127",
    "::1/128",
    "::1/129",
    "1.2.3.4/",
    "1.2.3.4/0",
    "1.2.3.4/00",
    "1.2.3.4/01",
    "1.2.3.4/+8",
    "1.2.3.4/8 ",
  ],
  ...[
    "10.0.0.0/8/8",
    "/8",
    "",
    "10/8",
    "10.0/16",
    "0x0a.0.0.0/8",
    "010.0.0.0/8",
    "167772160/8",
    "10.0.0.0/255.0.0.0",
  ],
  ...[
    "::ffff:10.0.0.0/104",
    "::ffff:0:0/96",
    "::10.0.0.0/104",
    "fe80::1%eth0/64",
    "fe80::%1/10",
    "[::1]/128",
    "64:ff9b::/96",
  ],
  ...[
    "::ffff:010.0.0.1",
    "::ffff:0x7f.0.0.1",
    "::0177.0.0.1",
    "::1.2.3.4",
    "1::1.2.3.4",
    "1:2:3:4:5:6:1.2.3.4",
    "1.2.3.4::",
  ],
  ...[
    "1:2:3:4:5:6:7::",
    "::2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "1::2::3",
    ":1",
    "1:",
    ":::",
    "0:0:0:0:0:0:0:0",
  ],
];

describe("an address, against arithmetic on whole numbers", () => {
  it("attack 60: is exactly what the RFCs call one, in one spelling", () => {
    for (const edge of EDGES) checkAddress(edge.split("/")[0] ?? "");
    fc.assert(
      fc.property(address, (numeric) => void expect(checkAddress(writeAddress(numeric))).toEqual(numeric)),
      runs,
    );
    fc.assert(
      fc.property(nearly, (text) => void checkAddress(text)),
      runs,
    );
  });

  it("attack 60: is a range only with no bit set behind a prefix that is not 0", () => {
    for (const edge of EDGES) checkCidr(edge);
    fc.assert(
      fc.property(nearly, (text) => void checkCidr(text)),
      runs,
    );
    fc.assert(
      fc.property(around, ({ cidr }) => void checkCidr(cidr)),
      runs,
    );
    expect(EDGES.filter((edge) => cidrSchema.safeParse(edge).success).length).toBeGreaterThan(8);
  });

  it("attacks 11, 60: is in a range, and a range in another, exactly where the numbers say so", () => {
    fc.assert(
      fc.property(around, around, (one, other) => {
        checkMembership(one.text, one.cidr, other.cidr);
        checkMembership(one.text, other.cidr, one.cidr);
      }),
      runs,
    );
  });

  it("attacks 11, 12: is IPv4 only as ::ffff:a.b.c.d, not in any other dress", () => {
    expect(canonicalAddress("::ffff:1.2.3.4")).toBe("1.2.3.4");
    expect(canonicalAddress("::1.2.3.4")).toBe("::102:304");
    expect(canonicalAddress("64:ff9b::1.2.3.4")).toBe("64:ff9b::102:304");
  });
});
