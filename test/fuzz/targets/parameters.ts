import assert from "node:assert/strict";
import { withoutParameter, withParameter } from "../../../src/credentials/parameters.ts";
import { textsOf } from "../input.ts";

const NAMES = ["key", "api_key", "access_token", "_method", "X-Goog.Api Key"];

/** The names that a server could read out of a query: form decoding, once and twice, pairs split at `;` too. */
function names(query: string): string[] {
  return query
    .split(/[&;]/)
    .flatMap((pair) => [...new URLSearchParams(pair).keys()])
    .flatMap((name) => [name, ...new URLSearchParams(name.replaceAll("&", "%26")).keys()]);
}

/**
 * No pair is left that a server could read as the credential's; every other pair stays where it is, byte for byte; and
 * what is put on afterwards is the only one of its name.
 */
export function checkWithout(query: string, name: string): void {
  const rest = withoutParameter(query, name);
  const wanted = name.toLowerCase();
  for (const left of names(rest)) assert.notEqual(left.toLowerCase(), wanted);
  assert.equal(withoutParameter(rest, name), rest);
  if (rest !== query) assert.ok(rest.length < query.length);
  const pairs = query.split(/[&;]/);
  for (const pair of rest.split(/[&;]/)) assert.ok(pair === "" || pairs.includes(pair));
  const sent = new URLSearchParams(withParameter(rest, name, "the credential"));
  assert.deepEqual(sent.getAll(name), ["the credential"]);
}

export function fuzz(data: Buffer): void {
  const [query = "", name = ""] = textsOf(data, 2);
  for (const known of NAMES) checkWithout(query, known);
  if (/^[\x21-\x7e]{1,128}$/.test(name)) checkWithout(query, name);
}
