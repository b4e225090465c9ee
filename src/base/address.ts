import ipaddr from "ipaddr.js";
import { z } from "zod";

/** The one shared address from which Workers of other zones call (Cloudflare's documentation, "CF-Connecting-IP"). */
const SHARED_WORKERS_ADDRESS = "2a06:98c0:3600::103";

/**
 * One canonical spelling of an address, or null if it is none. IPv4-mapped IPv6 is the IPv4 address; octal, hex and
 * short IPv4 forms, zone ids and ports are no addresses.
 */
export function canonicalAddress(text: string): string | null {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text).toString();
  const plain = withoutDottedEnd(text);
  if (plain === null || plain.includes("%") || !ipaddr.IPv6.isValid(plain)) return null;
  const address = ipaddr.IPv6.parse(plain);
  return address.isIPv4MappedAddress() ? address.toIPv4Address().toString() : address.toRFC5952String();
}

/**
 * An IPv6 address without the IPv4 notation of its last 32 bits (RFC 4291 §2.2, form 3); null where that is not four
 * plain decimal numbers. The library reads `::1.2.3.4` as IPv4-mapped, and takes octal and hexadecimal parts.
 */
function withoutDottedEnd(text: string): string | null {
  const end = text.slice(text.lastIndexOf(":") + 1);
  if (end === text || !end.includes(".")) return end === text ? null : text;
  if (!ipaddr.IPv4.isValidFourPartDecimal(end)) return null;
  const [a = 0, b = 0, c = 0, d = 0] = end.split(".").map(Number);
  return `${text.slice(0, -end.length)}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}

/** Whether an address says nothing about who calls, because anybody's Worker has it (attack 62). */
export function isSharedAddress(address: string): boolean {
  return address === SHARED_WORKERS_ADDRESS;
}

/** Whom a canonical address stands for where addresses are counted: IPv6 hands out a /64 at least. */
export function addressGroup(address: string): string {
  if (!address.includes(":")) return address;
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${address}/64`).toString()}/64`;
}

/** Whether a canonical address lies in one of the canonical CIDRs. */
export function inAllowlist(address: string, cidrs: readonly string[]): boolean {
  const parsed = ipaddr.parse(address);
  return cidrs.some((cidr) => {
    const [network, bits] = ipaddr.parseCIDR(cidr);
    return network.kind() === parsed.kind() && parsed.match(network, bits);
  });
}

function canonicalCidr(text: string): { readonly cidr: string } | { readonly fault: string } {
  const [addressText = "", bitsText, ...rest] = text.split("/");
  const address = canonicalAddress(addressText);
  if (address === null || rest.length > 0) {
    return { fault: 'must be an address or CIDR such as "10.0.1.50" or "10.128.0.0/20"' };
  }
  if (addressText.includes(":") && !address.includes(":"))
    return { fault: `must be written as IPv4: "${address}"` };
  const width = address.includes(":") ? 128 : 32;
  if (bitsText === undefined) return { cidr: `${address}/${width}` };
  const bits = Number(bitsText);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(bitsText) || bits > width) {
    return { fault: `must have a prefix length from 1 to ${width}` };
  }
  if (bits === 0) return { fault: "must not be /0, which is everybody: leave the list out instead" };
  const parser = width === 32 ? ipaddr.IPv4 : ipaddr.IPv6;
  const network = canonicalAddress(parser.networkAddressFromCIDR(`${address}/${bits}`).toString());
  if (network !== address)
    return { fault: `has bits set beyond its prefix: did you mean "${network}/${bits}"?` };
  return { cidr: `${address}/${bits}` };
}

/** An IPv4 or IPv6 address or CIDR, as its canonical CIDR. Ambiguous spellings are refused with the one meant. */
export const cidrSchema = z
  .string()
  .max(64)
  .transform((text, context) => {
    const result = canonicalCidr(text);
    if ("cidr" in result) return result.cidr;
    context.addIssue({ code: "custom", message: result.fault });
    return z.NEVER;
  });

/** Whether every address of `inner` lies in one of `outer`; both canonical CIDRs. */
export function coversCidr(outer: readonly string[], inner: string): boolean {
  const [network = "", bits] = inner.split("/");
  return outer.some((cidr) => Number(cidr.split("/")[1]) <= Number(bits) && inAllowlist(network, [cidr]));
}
