import assert from "node:assert/strict";
import type { Destination } from "../../../src/connections/destination.ts";
import { responseHeaders } from "../../../src/gateway/headers.ts";
import { HostMap, rewriter } from "../../../src/gateway/hosts.ts";
import { textsOf, valueOf } from "../input.ts";

const MAPPED = "api.mapped.dev=mapped,127.0.0.1:9001=local";
const DOMAIN = "gw.dev";
const makeHosts = (): HostMap => new HostMap(MAPPED, DOMAIN);
const shared = makeHosts();

/** Which connection a URL means, read a second way. */
function expectedSlug(host: string, path: string): string | undefined {
  if (host === "api.mapped.dev") return "mapped";
  if (host === "127.0.0.1:9001") return "local";
  const label = /^([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\.gw\.dev$/.exec(host)?.[1];
  return label ?? /^\/proxy\/([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\/|$)/.exec(path)?.[1];
}

/** A request URL means one connection and one path, the same each time it is read; nothing is lost or added. */
export function checkRead(rawUrl: string): void {
  const read = valueOf(() => makeHosts().read(rawUrl));
  const again = valueOf(() => shared.read(rawUrl));
  assert.deepEqual(
    valueOf(() => shared.read(rawUrl)),
    again,
  );
  assert.deepEqual(again, read);
  if (read === undefined || read === null) return;
  const { target, addressed } = read;
  assert.equal(addressed.slug, expectedSlug(target.host, target.path));
  const whole = `${target.scheme}://${target.host}${target.path}`;
  assert.ok(addressed.path.startsWith("/"));
  assert.ok([whole, `${whole}/`].includes(addressed.prefix + addressed.path));
}

export const DESTINATIONS: readonly Destination[] = [
  { scheme: "https", host: "api.x.com", port: 443, authority: "api.x.com", basePath: "" },
  { scheme: "https", host: "api.x.com", port: 8443, authority: "api.x.com:8443", basePath: "/v1" },
];
const PREFIXES = ["https://gateway.dev/proxy/up", "https://up.gw.dev"];
const same = (text: string): string => text;

/**
 * Where a client goes that follows `value`: to the connection's own place only by way of the gateway, which it then
 * reaches below the connection's own prefix; and nowhere that the upstream did not name.
 */
export function checkRewrite(name: string, value: string): void {
  // A URL spelled with backslashes goes back as it came, as any URL to elsewhere does.
  if (value.includes("\\")) return;
  for (const destination of DESTINATIONS) {
    const upstream = `${destination.scheme}://${destination.authority}${destination.basePath}/called`;
    for (const prefix of PREFIXES) {
      const called = `${prefix}/called`;
      const given = responseHeaders([[name, value]], same, rewriter(destination, prefix)).get(name);
      if (given === null || !URL.canParse(given, called) || !URL.canParse(value, upstream)) continue;
      const goes = new URL(given, called);
      if (given !== value) {
        assert.equal(goes.origin, new URL(prefix).origin);
        assert.ok(goes.href.startsWith(prefix), `${goes.href} is outside ${prefix}`);
        const meant = new URL(value, upstream);
        assert.equal(meant.host, destination.authority);
        const from = new URL(prefix).pathname.replace(/\/$/, "").length;
        assert.equal(
          goes.pathname.slice(from) || "/",
          meant.pathname.slice(destination.basePath.length) || "/",
        );
        assert.equal(goes.search + goes.hash, meant.search + meant.hash);
      } else if (goes.host === destination.authority && goes.protocol === `${destination.scheme}:`) {
        const inBase = `${goes.pathname}/`.startsWith(`${destination.basePath}/`);
        assert.ok(!inBase, `${value} leads to the provider itself`);
      }
    }
  }
}

export function fuzz(data: Buffer): void {
  const [first = "", second = ""] = textsOf(data, 2);
  checkRead(first);
  checkRead(`https://gateway.dev/${first}`);
  checkRead(`https://${first}.gw.dev/${second}`);
  if (/^[\x21-\x7e]*$/.test(second)) {
    checkRewrite("location", second);
    checkRewrite("x-upload-url", second);
  }
}
