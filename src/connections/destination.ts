import { Problem } from "../base/problem.ts";
import { canonicalAddress } from "../base/address.ts";

/** Where a connection leads, taken apart once: `https://host[:port]` and the path below which its calls stay. */
export interface Destination {
  readonly scheme: "https" | "http";
  /** Canonical DNS name (or an address, in development), lower case. */
  readonly host: string;
  readonly port: number;
  /** `host`, with `:port` unless it is the scheme's own. */
  readonly authority: string;
  /** Begins with `/` and does not end with one, or `""`. */
  readonly basePath: string;
}

export interface DestinationRules {
  /** Development only: http, addresses and private names are allowed. */
  readonly privateAllowed: boolean;
  /** Hosts under which this gateway itself is reached. */
  readonly ownHosts: readonly string[];
}

/** Names that are never a public API: special-use TLDs (RFC 6761, 8375, 9476 …), cloud metadata, wildcard DNS. */
const PRIVATE_SUFFIXES = [
  "localhost",
  "local",
  "internal",
  "intranet",
  "lan",
  "home",
  "corp",
  "private",
  "test",
  "example",
  "invalid",
  "onion",
  "home.arpa",
  "in-addr.arpa",
  "ip6.arpa",
  "metadata.goog",
  "nip.io",
  "sslip.io",
  "xip.io",
  "localtest.me",
  "lvh.me",
  "vcap.me",
  "lacolhost.com",
  "traefik.me",
];
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Whether a name lies in `suffix` (the name itself included), by whole labels. */
export function inDomain(host: string, suffix: string): boolean {
  return host === suffix || host.endsWith(`.${suffix}`);
}

function refuse(detail: string, why: string): never {
  throw new Problem("DESTINATION_DENIED", detail, { why });
}

/**
 * Takes a base URL apart and refuses what must never receive a credential (attacks 2–5, 8–13, 15, 16). The URL must be
 * spelled canonically: what `new URL` would have to repair is refused instead.
 */
export function parseDestination(baseUrl: string, rules: DestinationRules): Destination {
  const match =
    /^(https?):\/\/([^/?#@\\\s:[\]]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?(\/[^?#\\\s]*)?$/.exec(baseUrl);
  if (match === null) {
    refuse(
      "The base URL is not a plain one.",
      'Use "https://host[:port][/path]": lower case, no user, query or fragment.',
    );
  }
  const [, scheme = "", hostText = "", portText, path = ""] = match;
  const bare = hostText.replace(/^\[|\]$/g, "");
  const address = canonicalAddress(bare);
  const port = Number(portText ?? (scheme === "https" ? 443 : 80));
  if (port > 65_535) refuse("The base URL's port is not one.", "Ports go from 1 to 65535.");
  if (!URL.canParse(baseUrl)) refuse("The base URL is not one.", 'Use "https://host[:port][/path]".');
  const url = new URL(baseUrl);
  if (url.hostname !== hostText || url.username !== "" || url.password !== "") {
    refuse("The base URL's host is not spelled canonically.", `A client would read it as "${url.hostname}".`);
  }
  const basePath = path.endsWith("/") ? path.slice(0, -1) : path;
  if (path.includes("//") || (basePath !== "" && url.pathname.replace(/\/$/, "") !== basePath)) {
    refuse(
      "The base URL's path is not spelled canonically.",
      "No dot segments, empty segments or characters that need escaping.",
    );
  }
  if (!rules.privateAllowed) {
    if (scheme !== "https") refuse("The base URL is not https.", "A credential is only ever sent over TLS.");
    if (address !== null || /^[0-9.]+$/.test(bare) || bare.includes(":")) {
      refuse("The base URL names an address.", "Use the provider's DNS name.");
    }
    const labels = hostText.split(".");
    if (
      labels.length < 2 ||
      !labels.every((label) => LABEL.test(label)) ||
      /^[0-9]+$/.test(labels.at(-1) ?? "")
    ) {
      refuse("The base URL's host is not a public DNS name.", "Use a full name such as api.example.com.");
    }
    if (PRIVATE_SUFFIXES.some((suffix) => inDomain(hostText, suffix))) {
      refuse("The base URL's host is a private or special-use name.", "Use the provider's public DNS name.");
    }
  }
  const isDefault = port === (scheme === "https" ? 443 : 80);
  const authority = isDefault ? hostText : `${hostText}:${port}`;
  if (rules.ownHosts.some((own) => own === authority || (!own.includes(":") && inDomain(hostText, own)))) {
    refuse("The base URL leads back to this gateway.", "Connect to the provider itself.");
  }
  return { scheme: scheme === "https" ? "https" : "http", host: hostText, port, authority, basePath };
}

/** The destination as a secret's `allowed_hosts` names it, which means port 443 where none is given, http or not. */
export function allowedHostOf({ host, port }: Destination): string {
  return port === 443 ? host : `${host}:${port}`;
}

/** Whether `allowedHosts` (`host[:port]`, port 443 if left out) name the destination exactly. */
export function isAllowedHost(destination: Destination, allowedHosts: readonly string[]): boolean {
  return allowedHosts.some((allowed) => {
    const colon = allowed.lastIndexOf(":");
    const hasPort = colon > 0 && /^[0-9]+$/.test(allowed.slice(colon + 1)) && !allowed.endsWith("]");
    const host = hasPort ? allowed.slice(0, colon) : allowed;
    const port = hasPort ? Number(allowed.slice(colon + 1)) : 443;
    return host === destination.host && port === destination.port;
  });
}
