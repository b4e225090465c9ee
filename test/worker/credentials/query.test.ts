import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCredential } from "../../../src/credentials/kinds.ts";
import { CANARY, outgoing, problemOf, secretsOf } from "./outgoing.ts";

function attach(query: string, name = "key", secret: string = CANARY): string {
  const { kind, options } = parseCredential({ kind: "query", name });
  const request = outgoing({ query });
  kind.strip(request, options);
  kind.inject(request, options, secretsOf({ secret }));
  return request.query;
}

/** Every way to write one letter of a name that a lenient server reads as that letter. */
const letter = (plain: string) => {
  const hex = plain.charCodeAt(0).toString(16);
  return fc.constantFrom(
    plain,
    plain.toUpperCase(),
    `%${hex}`,
    `%${hex.toUpperCase()}`,
    `%25${hex}`,
    `%2525${hex}`,
    `%u00${hex}`,
  );
};
const disguised = fc.tuple(letter("k"), letter("e"), letter("y")).map((letters) => letters.join(""));
const attempt = fc
  .tuple(disguised, fc.constantFrom("", "=", "=evil", "[]=evil", "%5B%5D=evil", "[x]=evil", "%00x=evil"))
  .map((parts) => parts.join(""));

describe("query", () => {
  test("stands behind the client's own parameters", () => {
    expect(attach("")).toBe(`key=${CANARY}`);
    expect(attach("a=1&b=%20+&a=2")).toBe(`a=1&b=%20+&a=2&key=${CANARY}`);
  });

  test.each([
    "key=evil",
    "key",
    "KEY=evil",
    "%6bey=evil",
    "%6Bey=evil",
    "k%65y=evil",
    "%256bey=evil",
    "key=1&key=2",
    "key[]=evil",
    "+key=evil",
    "%20key=evil",
    "key%00=evil",
    "a=1;key=evil",
    "%u006bey=evil",
  ])("attack 29: the client's %s never arrives", (query) => {
    expect(attach(`${query}&z=1`)).toMatch(new RegExp(`^(a=1&)?z=1&key=${CANARY}$`));
  });

  test("attack 29: a name with a dot is also taken off as PHP reads it", () => {
    expect(attach("api_key=evil&api.key=evil&api%20key=evil&api-key=other", "api_key")).toBe(
      `api-key=other&api_key=${CANARY}`,
    );
  });

  test.each([
    "keys=1",
    "akey=1",
    "key2=1",
    "a=key",
    "a=key=1",
    "a=1%26key=2",
    "%zzkey=1",
    "%=1",
    "&&",
    "a==&b",
  ])("%s is none of the credential's business", (query) => {
    expect(attach(query)).toBe(`${query}&key=${CANARY}`);
  });

  test("attack 29: whatever is mixed with whatever, exactly the attempts go and the rest stays byte for byte", () => {
    const benign = fc.string({ unit: fc.constantFrom(..."xyk=%+[]6be\u00e9.") }).map((text) => `x${text}`);
    const pair = fc.oneof(
      benign.map((text) => ({ text, keep: true })),
      attempt.map((text) => ({ text, keep: false })),
    );
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 8 }), (pairs) => {
        const kept = pairs.filter(({ keep }) => keep).map(({ text }) => text);
        expect(attach(pairs.map(({ text }) => text).join("&"))).toBe([...kept, `key=${CANARY}`].join("&"));
      }),
      { numRuns: 300, seed: 29 },
    );
  });

  test("attack 33: a secret cannot leave its place, whatever it holds", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1 }), (secret) => {
        const query = attach("a=1", "key", secret);
        expect(query).toMatch(/^a=1&key=[A-Za-z0-9._~%-]+$/);
        expect(new URLSearchParams(query).get("key")).toBe(secret);
      }),
      { numRuns: 200, seed: 33 },
    );
    expect(attach("", "key", "a'b(c)*!&=#+ \r\n\0")).toBe("key=a%27b%28c%29%2A%21%26%3D%23%2B%20%0D%0A%00");
  });

  test.each(["", "a b", "ü", "k\n", "x".repeat(129)])("%j is no name", (name) => {
    expect(problemOf(() => parseCredential({ kind: "query", name })).options.errors?.[0]?.path).toBe(
      "credential.name",
    );
  });
});
