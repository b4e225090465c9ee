import assert from "node:assert/strict";
import { canonicalPath, parseTarget } from "../../../src/gateway/target.ts";
import { textsOf, valueOf } from "../input.ts";

const UPSTREAM = "https://api.provider.com/base";
const ROUNDS = 4;

/** Every reading of a path that an upstream could come to by decoding it once more. */
function readings(path: string): string[] {
  const all = [path];
  for (let round = 0; round < ROUNDS; round++) {
    const last = all.at(-1) ?? "";
    const next = last.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
    if (next === last) break;
    all.push(next);
  }
  return all;
}

/**
 * What is checked is what is sent: a path that passes is its own canonical form, means the same however often it is
 * decoded, and is not changed by the URL parser that `fetch` uses, which neither touches the host nor the query.
 */
export function checkTarget(rawPath: string, query: string): void {
  const target = valueOf(() =>
    parseTarget(`https://gateway.dev${rawPath}${query === "" ? "" : `?${query}`}`),
  );
  if (target === undefined) return;
  assert.equal(target.host, target.host.toLowerCase());
  const { path } = target;
  assert.equal(canonicalPath(path), path);
  for (const reading of readings(path)) {
    assert.match(reading, /^\/[^\\;\u0000-\u001f\u007f]*$/);
    assert.ok(!reading.includes("//"), `an empty segment in ${reading}`);
    assert.ok(!reading.split("/").some((part) => part === "." || part === ".."), `dots in ${reading}`);
  }
  const sent = new URL(`${UPSTREAM}${path}${target.query === "" ? "" : `?${target.query}`}`);
  assert.equal(sent.origin, "https://api.provider.com");
  assert.equal(sent.pathname, `/base${path}`);
  assert.equal(sent.hash, "");
  const escaped = target.query.replaceAll(
    /["'<>]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  assert.equal(sent.search, target.query === "" ? "" : `?${escaped}`);
  for (const name of new URLSearchParams(target.query).keys()) assert.notEqual(name.toLowerCase(), "_method");
}

export function fuzz(data: Buffer): void {
  const [path = "", query = ""] = textsOf(data, 2);
  checkTarget(`/${path}`, query);
  checkTarget(path, query);
}
