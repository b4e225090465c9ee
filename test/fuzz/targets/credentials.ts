import assert from "node:assert/strict";
import { bearerCredential } from "../../../src/base/bearer.ts";
import { checkPlace, findToken } from "../../../src/gateway/authenticate.ts";
import { withoutToken } from "../../../src/gateway/call.ts";
import { HostMap } from "../../../src/gateway/hosts.ts";
import { textsOf, valueOf } from "../input.ts";
import { routeOf } from "../route.ts";
import { fieldsOf } from "./headers.ts";
import { TOKEN } from "./token.ts";

const OTHER = `vkt_${"Z".repeat(96)}`;
const ROUTE = routeOf();
const hosts = new HostMap(undefined, undefined);
/** What stands for a token in a fuzzer's text, so that it need not invent one. */
const expand = (text: string): string => text.replaceAll("~T", TOKEN).replaceAll("~U", OTHER);

/**
 * One request, one token: two different ones are refused, and none is left in the path or the query that is sent on.
 */
export function checkFind(authorization: string, other: string, path: string, query: string): void {
  const read = valueOf(() =>
    hosts.read(`https://gateway.dev/proxy/up${path}${query === "" ? "" : `?${query}`}`),
  );
  const fields = fieldsOf([
    ["authorization", authorization],
    ["x-api-key", other],
  ]);
  if (!read || fields === null) return;
  const presented = valueOf(() => findToken(fields, read.target));
  if (presented === undefined) return;
  const { token, place } = presented;
  const told = fields.map(([, value]) => value);
  const texts = [
    ...told,
    ...told.map((value) => Buffer.from(value.slice(value.indexOf(" ") + 1), "base64").toString()),
  ];
  assert.ok([...texts, read.target.path, read.target.query].some((text) => text.includes(token)));
  if (place.in !== "header")
    assert.equal(
      valueOf(() => (checkPlace(presented, ROUTE.tokenIn), true)),
      undefined,
    );
  const sent = valueOf(() => withoutToken(read.addressed, read.target, presented));
  if (sent === undefined) return;
  assert.doesNotMatch(sent.path, /vkt_[0-9A-Za-z]{96}/);
  assert.ok(!sent.query.includes("vkt_"));
  assert.ok(sent.path.startsWith("/"));
  if (place.in === "header" && !read.target.query.includes("vkt_"))
    assert.deepEqual(sent, { path: read.addressed.path, query: read.target.query });
}

/** A bearer credential is one run of printable ASCII, and reading it out of its own header gives it again. */
export function checkBearer(header: string): void {
  const credential = bearerCredential(header);
  if (credential === null) return;
  assert.match(credential, /^[\x21-\x7e]{1,4096}$/);
  assert.ok(header.endsWith(credential));
  assert.equal(bearerCredential(`Bearer ${credential}`), credential);
}

/** Basic's user and password, however they are spread over colons, are found as they were written. */
export function checkBasic(user: string, password: string): void {
  const fields = fieldsOf([
    ["authorization", `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`],
  ]);
  const read = hosts.read("https://gateway.dev/proxy/up/x");
  if (fields === null || read === null) return;
  const presented = valueOf(() => findToken(fields, read.target));
  const expected = [user, password]
    .map((part) => part.split(":")[0] ?? "")
    .find((part) => part.startsWith("vkt_"));
  if (!user.includes(":")) assert.equal(presented?.token, expected);
}

export function fuzz(data: Buffer): void {
  const [authorization = "", other = "", path = "", query = ""] = textsOf(data, 4).map(expand);
  checkFind(authorization, other, `/${path}`, query);
  checkBearer(authorization);
  checkBasic(authorization, other);
}
