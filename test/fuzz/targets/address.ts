import assert from "node:assert/strict";
import { canonicalAddress, cidrSchema, coversCidr, inAllowlist } from "../../../src/base/address.ts";
import { textsOf } from "../input.ts";

/** An address as a number, in a family of `width` bits. */
export interface Numeric {
  readonly width: 32 | 128;
  readonly value: bigint;
}

/** RFC 6943, 3.1.1: four decimal numbers up to 255, without leading zeros. */
function readIPv4(text: string): bigint | null {
  const parts = text.split(".");
  if (
    parts.length !== 4 ||
    !parts.every((part) => /^(?:0|[1-9][0-9]{0,2})$/.test(part) && Number(part) < 256)
  )
    return null;
  return parts.reduce((value, part) => (value << 8n) | BigInt(part), 0n);
}

/** RFC 4291, 2.2, all three forms. Written from the RFC alone, as a reference. */
export function readAddress(text: string): Numeric | null {
  const four = readIPv4(text);
  if (four !== null) return { width: 32, value: four };
  const colon = text.lastIndexOf(":");
  if (colon < 0) return null;
  let rest = text;
  const tail = text.slice(colon + 1);
  if (tail.includes(".")) {
    const embedded = readIPv4(tail);
    if (embedded === null) return null;
    rest = `${text.slice(0, colon + 1)}${(embedded >> 16n).toString(16)}:${(embedded & 0xffffn).toString(16)}`;
  }
  const halves = rest.split("::");
  if (halves.length > 2) return null;
  const groups = halves.map((half) => (half === "" ? [] : half.split(":")));
  if (!groups.flat().every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null;
  const [head = [], end = []] = groups;
  const given = head.length + end.length;
  if (halves.length === 1 ? given !== 8 : given > 7) return null;
  const all = [...head, ...Array.from({ length: 8 - given }, () => "0"), ...end];
  const value = all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
  return value >> 32n === 0xffffn ? { width: 32, value: value & 0xffff_ffffn } : { width: 128, value };
}

/** RFC 5952, 4: lower case, no leading zeros, the first longest run of two zero groups or more shortened. */
export function writeAddress({ width, value }: Numeric): string {
  if (width === 32) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join(".");
  const groups = Array.from({ length: 8 }, (_, index) => (value >> BigInt(112 - 16 * index)) & 0xffffn);
  let best = { from: 0, length: 1 };
  for (let from = 0; from < 8; from++) {
    let length = 0;
    while (from + length < 8 && groups[from + length] === 0n) length++;
    if (length > best.length) best = { from, length };
  }
  const text = (some: bigint[]): string => some.map((group) => group.toString(16)).join(":");
  if (best.length === 1) return text(groups);
  return `${text(groups.slice(0, best.from))}::${text(groups.slice(best.from + best.length))}`;
}

/** One spelling for each address, and what is none by the RFCs is none here. */
export function checkAddress(text: string): Numeric | null {
  const expected = readAddress(text);
  assert.equal(canonicalAddress(text), expected === null ? null : writeAddress(expected));
  return expected;
}

interface Range extends Numeric {
  readonly bits: number;
}

const lastOf = ({ width, value, bits }: Range): bigint => value | ((1n << BigInt(width - bits)) - 1n);
const isWithin = (inner: Range, outer: Range): boolean =>
  inner.width === outer.width && inner.value >= outer.value && lastOf(inner) <= lastOf(outer);

function readRange(text: string): Range | null {
  const [addressText = "", bitsText, ...rest] = text.split("/");
  const address = readAddress(addressText);
  if (address === null || rest.length > 0) return null;
  if (address.width === 32 && addressText.includes(":")) return null;
  const bits = bitsText === undefined ? address.width : Number(bitsText);
  if (bitsText !== undefined && !/^[1-9][0-9]{0,2}$/.test(bitsText)) return null;
  if (bits > address.width) return null;
  const range = { ...address, bits };
  const host = (1n << BigInt(address.width - bits)) - 1n;
  return (address.value & host) === 0n ? range : null;
}

/** Accepted are exactly the ranges with no bit set behind their prefix, none of them /0, each in one spelling. */
export function checkCidr(text: string): Range | null {
  const expected = text.length > 64 ? null : readRange(text);
  const { data } = cidrSchema.safeParse(text);
  assert.equal(data, expected === null ? undefined : `${writeAddress(expected)}/${expected.bits}`);
  if (data !== undefined) assert.equal(cidrSchema.parse(data), data);
  return expected;
}

/** An address is in a range, and a range in another, where the numbers say so. */
export function checkMembership(addressText: string, cidrText: string, otherText: string): void {
  const address = checkAddress(addressText);
  const range = checkCidr(cidrText);
  const other = checkCidr(otherText);
  if (range === null) return;
  const cidr = `${writeAddress(range)}/${range.bits}`;
  if (address !== null) {
    const inside = isWithin({ ...address, bits: address.width }, range);
    assert.equal(inAllowlist(writeAddress(address), [cidr]), inside);
  }
  if (other === null) return;
  assert.equal(coversCidr([cidr], `${writeAddress(other)}/${other.bits}`), isWithin(other, range));
}

export function fuzz(data: Buffer): void {
  const [address = "", cidr = "", other = ""] = textsOf(data, 3);
  checkMembership(address, cidr, other);
  checkAddress(cidr);
  checkMembership(cidr.split("/")[0] ?? "", cidr, other);
}
