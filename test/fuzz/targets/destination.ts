import assert from "node:assert/strict";
import {
  type Destination,
  type DestinationRules,
  allowedHostOf,
  isAllowedHost,
  parseDestination,
} from "../../../src/connections/destination.ts";
import { allowedHostsSchema } from "../../../src/vault/allowed-hosts.ts";
import { valueOf } from "../input.ts";

const OWN = ["gateway.valetkey.dev", "valetkey.app", "own.example.org:8443"];
export const DEPLOYED: DestinationRules = { privateAllowed: false, ownHosts: OWN };
const DEVELOPMENT: DestinationRules = { privateAllowed: true, ownHosts: OWN };

/** Nothing here is ever a public API, whatever comes before it. */
const NEVER =
  /(?:^|\.)(?:localhost|local|internal|lan|home\.arpa|test|example|invalid|onion|metadata\.goog|nip\.io|sslip\.io)$/;
const PUBLIC_NAME = /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?![0-9]+$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;

function sentTo({ scheme, authority, basePath }: Destination): URL {
  return new URL(`${scheme}://${authority}${basePath}/v1/x`);
}

/**
 * Whatever is accepted as a base URL, `fetch` goes to exactly the scheme, host and port that were checked, below the
 * base path; and in a deployment to a public DNS name over TLS that is not the gateway.
 */
export function checkDestination(baseUrl: string): Destination | undefined {
  const private_ = valueOf(() => parseDestination(baseUrl, DEVELOPMENT));
  const destination = valueOf(() => parseDestination(baseUrl, DEPLOYED));
  for (const accepted of [private_, destination]) {
    if (accepted === undefined) continue;
    const url = sentTo(accepted);
    assert.equal(url.protocol, `${accepted.scheme}:`);
    assert.equal(url.hostname, accepted.host);
    assert.equal(Number(url.port || (accepted.scheme === "https" ? 443 : 80)), accepted.port);
    assert.equal(url.host, accepted.authority);
    assert.equal(url.username + url.password + url.search + url.hash, "");
    assert.equal(url.pathname, `${accepted.basePath}/v1/x`);
    const written = new URL(baseUrl);
    assert.equal(written.origin, url.origin);
    assert.deepEqual(parseDestination(`${url.origin}${accepted.basePath}`, DEVELOPMENT), accepted);
    for (const own of OWN) {
      assert.notEqual(accepted.authority, own);
      if (!own.includes(":")) assert.ok(!`.${accepted.host}`.endsWith(`.${own}`));
    }
  }
  if (destination === undefined) return undefined;
  assert.deepEqual(destination, private_);
  assert.equal(destination.scheme, "https");
  assert.match(destination.host, PUBLIC_NAME);
  assert.doesNotMatch(destination.host, NEVER);
  return destination;
}

/** An allowed host is written as a URL parser reads it, and allows exactly the destination it names. */
export function checkAllowedHost(text: string, destination: Destination): void {
  const [host] = allowedHostsSchema.safeParse([text]).data ?? [];
  if (host === undefined) return;
  const url = new URL(`https://${host}`);
  assert.equal(url.host, host);
  assert.equal(url.href, `https://${host}/`);
  const names = url.hostname === destination.host && Number(url.port || 443) === destination.port;
  assert.equal(isAllowedHost(destination, [host]), names);
  assert.deepEqual(allowedHostsSchema.parse([host]), [host]);
}

/** The host that a destination is allowed by is a valid one, and allows it. */
export function checkOwnName(destination: Destination): void {
  const name = allowedHostOf(destination);
  assert.deepEqual(allowedHostsSchema.parse([name]), [name]);
  assert.ok(isAllowedHost(destination, [name]));
}

const ELSEWHERE = parseDestination("https://api.stripe.com:8443", DEPLOYED);

/** All of these of one text, taken as a base URL, as a host of one, and as an allowed host. */
export function checkAsDestination(text: string): void {
  for (const baseUrl of [text, `https://${text}`, `https://${text}/v1`, `https://api.stripe.com${text}`]) {
    const destination = checkDestination(baseUrl);
    if (destination === undefined) continue;
    checkOwnName(destination);
    checkAllowedHost(text, destination);
  }
  checkAllowedHost(text, ELSEWHERE);
}

export function fuzz(data: Buffer): void {
  checkAsDestination(data.toString("utf8"));
}
