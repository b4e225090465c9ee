import { expect, test } from "vitest";
import { Problem } from "../../../src/base/problem.ts";
import { canonicalAddress, cidrSchema } from "../../../src/base/address.ts";
import { Redacted } from "../../../src/base/redacted.ts";
import { parseDestination } from "../../../src/connections/destination.ts";
import { withoutParameter } from "../../../src/credentials/parameters.ts";
import { createRedactor } from "../../../src/gateway/redact/redactor.ts";
import { findToken } from "../../../src/gateway/authenticate.ts";
import { withoutToken } from "../../../src/gateway/call.ts";
import { HostMap } from "../../../src/gateway/hosts.ts";
import { substitute } from "../../../src/gateway/references.ts";
import { canonicalPath } from "../../../src/gateway/target.ts";
import { parseDotenv } from "../../../src/vault/dotenv.ts";
import { DEPLOYED } from "../../fuzz/targets/destination.ts";
import { TOKEN } from "../../fuzz/targets/token.ts";
import { routeOf } from "../../fuzz/route.ts";

/** What fuzzing found, each by itself. */

test.each([
  ["::1.2.3.4", "::102:304"],
  ["::ffff:1.2.3.4", "1.2.3.4"],
  ["::ffff:01.2.3.4", null],
  ["::ffff:0x7f.0.0.1", null],
  ["::0177.0.0.1", null],
  ["64:ff9b::010.0.0.1", null],
])(
  "attacks 11, 60: %s is %s: the IPv4 notation in an IPv6 address is decimal, and maps only below ::ffff",
  (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical);
    expect(cidrSchema.safeParse(text).data ?? null).toBe(
      canonical?.includes(":") ? `${canonical}/128` : null,
    );
  },
);

const hosts = new HostMap(undefined, undefined);

test.each([
  ["twice in the path", `/bot${TOKEN}/x/${TOKEN}`, ""],
  ["in the path beside another one", `/bot${TOKEN}/x/vkt_${"Z".repeat(96)}`, ""],
  ["in the path and in the query", `/x/${TOKEN}`, `?key=${TOKEN}`],
])("attack 34: a token does not go upstream that stands %s", (_where, path, query) => {
  const read = hosts.read(`https://gateway.dev/proxy/up${path}${query}`);
  if (read === null) throw new Error("not read");
  const presented = findToken([], read.target);
  expect(() => withoutToken(read.addressed, read.target, presented)).toThrow(Problem);
});

test("attack 23: a path is checked with the escapes that `fetch` sends it with", () => {
  for (const [raw, canonical] of [
    ["/v1/{id}", "/v1/%7Bid%7D"],
    ['/a"<>^`b', "/a%22%3C%3E%5E%60b"],
    ["/v1/%7bid%7d", "/v1/%7Bid%7D"],
  ] as const) {
    expect(canonicalPath(raw)).toBe(canonical);
    expect(new URL(`https://api.provider.com${canonical}`).pathname).toBe(canonical);
  }
});

test.each(["?_method=DELETE", "a=1&?_method=DELETE", "%3F_method=DELETE", " ?key=mine", "??key=mine"])(
  "attacks 28, 29: %s is read as `URLSearchParams` reads it, which takes off a question mark",
  (query) => {
    const name = query.includes("key") ? "key" : "_method";
    expect(withoutParameter(query, name)).toBe(query.startsWith("a=1") ? "a=1" : "");
  },
);

test("a base path has no empty segments: calls below it would begin with two slashes", () => {
  for (const path of ["//", "/v1//", "//v1", "/v1//x"]) {
    expect(() => parseDestination(`https://api.provider.com${path}`, DEPLOYED), path).toThrow(Problem);
  }
  expect(parseDestination("https://api.provider.com/v1/", DEPLOYED).basePath).toBe("/v1");
});

test("a value in a .env file loses blanks at its end and nothing else", () => {
  const read = (text: string): string | undefined => parseDotenv(text)[0]?.value.reveal();
  expect(read("KEY=secret\u00a0")).toBe("secret\u00a0");
  expect(read("KEY=secret\v\f")).toBe("secret\v\f");
  expect(read("KEY=secret \t # a comment")).toBe("secret");
});

test("a secret stays within its JSON string where the media type is written in capitals", () => {
  const headers = new Headers({ "content-type": "Application/JSON" });
  const body = Buffer.from('{"key":"vault://mine/KEY"}');
  const outgoing = { method: "POST", path: "/", query: "", headers, body };
  substitute(outgoing, routeOf(), { "mine/KEY": new Redacted('a","admin":"yes') });
  expect(JSON.parse(Buffer.from(outgoing.body).toString())).toEqual({ key: 'a","admin":"yes' });
});

test.each([
  ["encodeURIComponent", "pa(ss+word)!x", encodeURIComponent("pa(ss+word)!x")],
  ["a form", "pass*word+~x", new URLSearchParams({ k: "pass*word+~x" }).toString().slice(2)],
  ["PHP's JSON", "wJalr/UtnFEMI", "wJalr\\/UtnFEMI"],
])("attack 37: a secret is found in base64 of what %s makes of it", (_encoder, secret, written) => {
  const redactor = createRedactor([Buffer.from(secret)]);
  for (const before of ["", "a", "ab"]) {
    const masked = redactor.text(Buffer.from(`${before}${written}"`).toString("base64"));
    expect(Buffer.from(masked, "base64").toString()).not.toContain(written.slice(2, -2));
    expect(masked).toContain("*".repeat(written.length));
  }
});
