import fc from "fast-check";
import { expect, test } from "vitest";
import { allowedHostsSchema, widensHosts } from "../../../src/vault/allowed-hosts.ts";

const parse = (...hosts: string[]) => allowedHostsSchema.safeParse(hosts);

test.each([
  ["api.stripe.com", "api.stripe.com"],
  ["api.example.com:8443", "api.example.com:8443"],
  ["api.example.com:443", "api.example.com"],
  ["xn--bcher-kva.example", "xn--bcher-kva.example"],
  ["_acme.example.com", "_acme.example.com"],
  ["localhost:8080", "localhost:8080"],
  ["127.0.0.1:9000", "127.0.0.1:9000"],
  ["[::1]:9000", "[::1]:9000"],
  ["[2001:db8::1]", "[2001:db8::1]"],
])("%s is a host, written %s", (host, canonical) => {
  expect(parse(host).data).toEqual([canonical]);
});

test.each([
  "",
  "https://api.stripe.com",
  "api.stripe.com/",
  "api.stripe.com/v1",
  "api.stripe.com?x",
  "api.stripe.com#x",
  "user@api.stripe.com",
  "user:pass@api.stripe.com",
  "*.stripe.com",
  "*",
  "api.stripe.com:",
  "api.stripe.com:0",
  "api.stripe.com:08443",
  "api.stripe.com:65536",
  "api.stripe.com:443:443",
  "api stripe.com",
  " api.stripe.com",
  "api.stripe.com\n",
  "api.stripe.com\t",
  "api\\stripe.com",
  "api%2estripe.com",
  ".stripe.com",
  "api..stripe.com",
  "-api.stripe.com",
  "api-.stripe.com",
  "stripe",
  "1.2.3.256",
  "[::1",
  "::1",
  "[fe80::1%25eth0]",
  "[127.0.0.1]",
  "[v1.a]",
  "api\u00ad.stripe.com",
  "api\u200b.stripe.com",
  `${"a".repeat(64)}.com`,
  `${"a.".repeat(130)}com`,
])("attacks 3 to 5, 10, 11: %j is no host", (host) => {
  expect(parse(host).success).toBe(false);
});

test.each([
  ["API.Stripe.com", "api.stripe.com"],
  ["api.stripe.com.", "api.stripe.com"],
  ["bücher.example", "xn--bcher-kva.example"],
  ["api．stripe．com", "api.stripe.com"],
  ["api。stripe.com", "api.stripe.com"],
  ["2130706433", "127.0.0.1"],
  ["0x7f.1", "127.0.0.1"],
  ["0177.0.0.1:80", "127.0.0.1:80"],
  ["[2001:DB8:0::1]", "[2001:db8::1]"],
])("attacks 3, 10, 11: %j is refused with the host that it stands for, %s", (host, meant) => {
  expect(parse(host).error?.issues[0]?.message).toBe(`must be written as "${meant}"`);
});

test("what is accepted is what a URL parser makes of it: nothing is sent elsewhere than was checked", () => {
  const strings = fc.oneof(
    fc.domain(),
    fc.ipV4(),
    fc.ipV6().map((address) => `[${address}]`),
    fc.stringMatching(/^[a-zA-Z0-9.:@%[\]\\/_-]{1,30}$/),
    fc.string({ unit: "grapheme", maxLength: 30 }),
  );
  fc.assert(
    fc.property(strings, (host) => {
      const accepted = parse(host).data?.[0];
      if (accepted !== undefined) expect(new URL(`https://${accepted}/`).host).toBe(accepted);
    }),
    { numRuns: 2_000 },
  );
});

test("hosts are listed once, at most 50 of them", () => {
  expect(parse("a.example.com", "a.example.com:443").data).toEqual(["a.example.com"]);
  expect(parse(...Array.from({ length: 51 }, (_, index) => `h${index}.example.com`)).success).toBe(false);
});

test("a list widens another where it holds a host, or a port, that the other does not", () => {
  expect(widensHosts(["a.com", "b.com"], ["a.com"])).toBe(false);
  expect(widensHosts(["a.com"], [])).toBe(false);
  expect(widensHosts(null, null)).toBe(false);
  expect(widensHosts(["a.com"], ["a.com:8443"])).toBe(true);
  expect(widensHosts([], ["a.com"])).toBe(true);
  expect(widensHosts([], null)).toBe(true);
  expect(widensHosts(null, ["a.com"])).toBe(true);
});
