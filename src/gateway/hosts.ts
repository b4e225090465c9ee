import { BoundedCache } from "../base/cache.ts";
import { Problem } from "../base/problem.ts";
import type { Destination } from "../connections/destination.ts";
import type { Rewrite } from "./headers.ts";
import { parseTarget, type Target } from "./target.ts";

/** How a request says which connection it means, and the path below it. */
export interface Addressed {
  readonly slug: string;
  readonly path: string;
  /** What the gateway's own URLs for this connection begin with. */
  readonly prefix: string;
}

/** A request URL, read. */
export interface Read {
  readonly target: Target;
  readonly addressed: Addressed;
}

/** Longer ones, and those with a token in them, are read anew each time. */
const MAX_REMEMBERED_URL = 256;

const SLUG = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Host names that belong to a connection: what the operator mapped, and `{connection}.{gateway domain}`. */
export class HostMap {
  readonly #mapped = new Map<string, string>();
  readonly #domain: string | null;
  /** The same few URLs come again and again; what one says depends on nothing else. */
  readonly #remembered = new BoundedCache<string, Read>(1_000);

  /** `hosts`: `host[:port]=connection`, comma-separated. */
  constructor(hosts: string | undefined, domain: string | undefined) {
    for (const pair of (hosts ?? "").split(",")) {
      const [host, slug] = pair.split("=");
      if (host && slug) this.#mapped.set(host.trim().toLowerCase(), slug.trim());
    }
    this.#domain = domain ? domain.toLowerCase() : null;
  }

  /**
   * What a raw request URL asks of a connection; null where it is for the gateway's own API. Throws PATH_REFUSED as
   * `parseTarget`, and NOT_FOUND where no connection can have the name.
   */
  read(rawUrl: string): Read | null {
    const remembered = this.#remembered.get(rawUrl);
    if (remembered !== undefined) return remembered;
    if (!this.#claims(rawUrl)) return null;
    const target = parseTarget(rawUrl);
    const addressed = this.#address(target);
    if (addressed === null) throw new Problem("NOT_FOUND", "There is no connection at this address.");
    const read = { target, addressed };
    if (rawUrl.length <= MAX_REMEMBERED_URL && !rawUrl.includes("vkt_")) this.#remembered.set(rawUrl, read);
    return read;
  }

  #claims(rawUrl: string): boolean {
    const start = rawUrl.indexOf("://") + 3;
    const end = rawUrl.indexOf("/", start);
    if (end >= 0 && rawUrl.startsWith("/proxy/", end)) return true;
    const host = rawUrl.slice(start, end < 0 ? undefined : end).toLowerCase();
    return this.#mapped.has(host) || this.#subdomain(host) !== null;
  }

  /** The connection a target addresses by host or by `/proxy/{connection}/…`; null if by neither. */
  #address(target: Target): Addressed | null {
    const { host, path } = target;
    const slug = this.#mapped.get(host) ?? this.#subdomain(host);
    if (slug !== null) return { slug, path, prefix: `${target.scheme}://${host}` };
    if (!path.startsWith("/proxy/")) return null;
    const end = path.indexOf("/", 7);
    const named = end < 0 ? path.slice(7) : path.slice(7, end);
    if (!SLUG.test(named)) return null;
    return {
      slug: named,
      path: end < 0 ? "/" : path.slice(end),
      prefix: `${target.scheme}://${host}/proxy/${named}`,
    };
  }

  /** Every host under which this gateway answers. */
  ownHosts(): readonly string[] {
    return this.#domain === null ? [...this.#mapped.keys()] : [...this.#mapped.keys(), this.#domain];
  }

  #subdomain(host: string): string | null {
    if (this.#domain === null || !host.endsWith(`.${this.#domain}`)) return null;
    const slug = host.slice(0, -this.#domain.length - 1);
    return SLUG.test(slug) ? slug : null;
  }
}

/**
 * URLs at the connection's own host and base path become the gateway's, so that an SDK that follows them keeps its
 * token here (attack 92).
 */
export function rewriter(destination: Destination, prefix: string): Rewrite {
  return (url) => {
    let parsed: URL;
    try {
      parsed = new URL(url, `${destination.scheme}://${destination.authority}`);
    } catch {
      return url;
    }
    const { basePath } = destination;
    const inBase =
      basePath === "" || parsed.pathname === basePath || parsed.pathname.startsWith(`${basePath}/`);
    const scheme = parsed.protocol.slice(0, -1);
    if (parsed.host !== destination.authority || scheme !== destination.scheme || !inBase) return url;
    return prefix + parsed.pathname.slice(basePath.length) + parsed.search + parsed.hash;
  };
}
