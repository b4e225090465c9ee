import fc from "fast-check";
import { describe, expect, it } from "vitest";
import data from "../../data/whatwg/urltestdata.json";
import { checkAsDestination, checkDestination } from "../../fuzz/targets/destination.ts";
import { checkRead, checkRewrite } from "../../fuzz/targets/hosts.ts";
import { checkTarget } from "../../fuzz/targets/path.ts";

interface Case {
  readonly input: string;
  readonly base: string | null;
  readonly hostname?: string;
}

const cases = (data as readonly unknown[]).filter((one): one is Case => typeof one === "object");
const inputs = [
  ...new Set(cases.flatMap(({ input, base, hostname }) => [input, base ?? "", hostname ?? ""])),
];

/** Names and addresses that mean a private place, in the spellings that URL parsers take for them. */
const PRIVATE = [
  ...[
    "127.0.0.1",
    "0x7f.1",
    "2130706433",
    "0177.1",
    "10.0.0.1",
    "169.254.169.254",
    "[::1]",
    "[::ffff:7f00:1]",
  ],
  ...[
    "localhost",
    "metadata.google.internal",
    "x.nip.io",
    "gateway.valetkey.dev",
    "api.valetkey.app",
    "a.local",
  ],
];
/** Other code points that IDNA maps to the same character, or to nothing. */
const LOOKALIKES: Readonly<Record<string, readonly string[]>> = {
  ".": ["\u3002", "\uff0e", "\uff61"],
  "0": ["\uff10", "\u2080", "\ud835\udfce"],
  "1": ["\uff11", "\u00b9", "\u2460"],
  a: ["\uff41", "\u00aa", "\ud835\udc1a", "A"],
  o: ["\uff4f", "\u00ba", "\ud835\udc28", "O"],
  l: ["\uff4c", "\u2113", "L"],
  i: ["\uff49", "\u2170", "\u2139"],
};
const INVISIBLE = ["", "", "", "\u00ad", "\u200b", "\u2060", "\ufe0f"];
const SEPARATORS = ["", ".", ":443", ":8443", "@", "\\", "/", "//", "#", "?", "\t", "\n", "%2e", "%00", ";"];

const disguised = fc
  .record({
    name: fc.constantFrom(...PRIVATE, "api.stripe.com"),
    picks: fc.array(fc.nat(7), { minLength: 30, maxLength: 30 }),
    before: fc.constantFrom("", ...SEPARATORS, "user@", "api.stripe.com", "api.stripe.com."),
    after: fc.constantFrom("", ...SEPARATORS, "@api.stripe.com", ".api.stripe.com"),
  })
  .map(({ name, picks, before, after }) => {
    const spelled = [...name].map((char, at) => {
      const pick = picks[at] ?? 0;
      const other = LOOKALIKES[char]?.[pick] ?? char;
      return other + (INVISIBLE[(pick + at) % INVISIBLE.length] ?? "");
    });
    return before + spelled.join("") + after;
  });

describe("what reads destinations", () => {
  it("attacks 2 to 13: takes every URL of WHATWG's test data as `fetch` does, or not at all", () => {
    expect(inputs.length).toBeGreaterThan(800);
    for (const input of inputs) checkAsDestination(input);
    const accepted = inputs.filter((input) => checkDestination(`https://${input}`) !== undefined);
    expect(accepted.length).toBeGreaterThan(3);
  });

  it("attacks 3 to 16: takes no disguise of a private name or of the gateway's own", () => {
    fc.assert(fc.property(disguised, checkAsDestination), { numRuns: 3_000, seed: 20_261_122 });
    for (const name of PRIVATE) expect(checkDestination(`https://${name}`)).toBeUndefined();
  });

  it("attacks 5, 23 to 27: takes every input of WHATWG's test data as one request target and one path, or not at all", () => {
    for (const input of inputs) {
      checkRead(input);
      checkRead(`https://gateway.dev/proxy/up/${input}`);
      checkTarget(`/${input}`, "");
      checkTarget("/", input);
    }
  });

  it("attack 92: takes every input of WHATWG's test data as a redirect that keeps the token here or leads elsewhere", () => {
    const values = inputs.filter((input) => /^[\x21-\x7e]+$/.test(input));
    for (const value of values) {
      for (const url of [
        value,
        value.replace(/example\.(?:com|org|net)/, "api.x.com"),
        `https://api.x.com:8443/v1/${value}`,
      ])
        for (const name of ["location", "x-upload-url"]) checkRewrite(name, url);
    }
  });
});
