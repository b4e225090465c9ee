import { canonicalAddress, isSharedAddress } from "../base/address.ts";
import { BoundedCache } from "../base/cache.ts";
import type { RequestInfo } from "../base/request.ts";

/** From where a request came. */
export interface ClientAddress {
  /** Canonical; null where the platform told none. */
  readonly address: string | null;
  /** True where the address is anybody's: the request came from a Worker. No allowlist may admit it (attack 62). */
  readonly shared: boolean;
}

/** What rooms know of a request, and whether its address can be held against an allowlist. */
export interface ClientRequest extends RequestInfo {
  readonly sharedAddress: boolean;
}

/**
 * The client's address as the platform tells it: `source` "cf-connecting-ip" (the default) reads the header that
 * Cloudflare's edge overwrites, "socket" the peer that plain workerd tells; any other source tells none. Headers that
 * a client can write (X-Forwarded-For, True-Client-IP, X-Real-IP, Forwarded) are never read (attack 59).
 */
export function clientAddress(request: Request, source: string | undefined): ClientAddress {
  const told = toldAddress(request, source ?? "cf-connecting-ip");
  const address = told === null ? null : canonical(told);
  const shared = request.headers.has("cf-worker") || (address !== null && isSharedAddress(address));
  return { address, shared };
}

const known = new BoundedCache<string, { readonly address: string | null }>(1_000);

/** `canonicalAddress`, remembered: the same few callers come again and again. */
function canonical(told: string): string | null {
  const remembered = known.get(told);
  if (remembered !== undefined) return remembered.address;
  const address = canonicalAddress(told);
  known.set(told, { address });
  return address;
}

function toldAddress(request: Request, source: string): string | null {
  if (source === "cf-connecting-ip") return request.headers.get("cf-connecting-ip");
  if (source !== "socket") return null;
  const peer = request.cf?.["clientIp"];
  return typeof peer === "string" ? withoutPort(peer) : null;
}

/** `127.0.0.1:1234` and `[::1]:1234` as workerd writes them; an address alone stays as it is. */
function withoutPort(peer: string): string {
  const [, bracketed, dotted] = /^(?:\[([^\]]*)\]|([0-9.]+)):[0-9]{1,5}$/.exec(peer) ?? [];
  return bracketed ?? dotted ?? peer;
}
