import { describe, expect, it } from "vitest";
import { createRedactor, FormRedactor } from "../../../src/gateway/redact/redactor.ts";
import { CLASSES, SHAPE_RULES, type ShapeRule } from "../../../src/gateway/redact/shape-rules.ts";
import { LONGEST_SHAPE, SHORTEST_SHAPE } from "../../../src/gateway/redact/shapes.ts";
import { bytesOf, cut, pumped, SECRET, textOf } from "./echoes.ts";

const MODES = ["events", "lines", "distance"] as const;
const shapes = createRedactor([bytesOf(SECRET)], { shapes: true, entropy: false, minted: false });
const entropy = createRedactor([bytesOf(SECRET)], { shapes: false, entropy: true, minted: false });
const whole = (redactor: typeof shapes, text: string): string => textOf(redactor.whole(bytesOf(text)));
const stars = (text: string): string => "*".repeat(text.length);

const ASCII = Array.from({ length: 95 }, (_, index) => String.fromCharCode(0x20 + index));

/** A body of a rule: `length` characters of its class, taken in an order that repeats nothing soon. */
function bodyOf({ body }: ShapeRule, length: number): string {
  const members = ASCII.filter((char) => CLASSES[body].test(char) && /[A-Za-z0-9]/.test(char));
  return Array.from({ length }, (_, index) => members[(index * 7 + 3) % members.length]).join("");
}

const EXAMPLES = SHAPE_RULES.flatMap((rule) =>
  rule.prefixes.map((prefix) => ({ id: rule.id, prefix, body: bodyOf(rule, rule.min) })),
);

/** Random to look at, the same in every run. */
function noise(length: number, alphabet: string, seed: number): string {
  let state = seed;
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return alphabet[(state >>> 8) % alphabet.length];
  }).join("");
}
const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const KEY_LINES = Array.from({ length: 26 }, (_, line) => noise(64, BASE64, line + 1));
const pem = (type: string, lineEnd: string): string =>
  [`-----BEGIN ${type}-----`, ...KEY_LINES, "aGk=", `-----END ${type}-----`, ""].join(lineEnd);

describe("a credential of a known shape is masked, and its prefix stays", () => {
  it.each(EXAMPLES)("$id: $prefix…", ({ prefix, body }) => {
    for (const [before, after] of [
      ['{"key":"', '","a":1}'],
      ["", ""],
      ["Bearer ", "\n"],
      ["https://user:", "@host.example/x"],
      ["?key=", "&x=1"],
      ['{"text":"one\\n', '\\ntwo"}'],
      ['{"text":"\\u0022', '\\u0022"}'],
      ["key%3D%22", "%22"],
      ["a: &quot;", "&quot;"],
      ["line\n", "\r\n"],
    ]) {
      const isUrl = /^A[KSBC][IC]A$/.test(prefix) && after === "&x=1";
      expect(whole(shapes, before + prefix + body + after)).toBe(
        before + prefix + (isUrl ? body : stars(body)) + after,
      );
    }
    expect(shapes.text(`token ${prefix}${body}`)).toBe(`token ${prefix}${stars(body)}`);
  });

  it("the shortest one, wherever it stands in a text and whatever stands around it", () => {
    const key = "AKIAIOSFODNN7EXAMPLE";
    for (const filler of [" ", "ab ", "abcdefgh ", "\\n", "%20", '"', "longer_words-and.dots "]) {
      for (let before = 0; before < 40; before++) {
        for (let after = 0; after < 12; after++) {
          const [head, tail] = [`${filler.repeat(8)}${".".repeat(before)} `, `"${"x".repeat(after)}`];
          expect(whole(shapes, head + key + tail)).toBe(`${head}AKIA${stars(key.slice(4))}${tail}`);
        }
      }
    }
  });

  it("also where every character of it is escaped", () => {
    const key = `ghp_${"a1B2c3D4e5F6".repeat(3)}`;
    for (const escape of [
      (char: string) => `%${char.charCodeAt(0).toString(16)}`,
      (char: string) => `\\u00${char.charCodeAt(0).toString(16)}`,
      (char: string) => `&#${char.charCodeAt(0)};`,
    ]) {
      const [prefix, body] = [key.slice(0, 4), key.slice(4)].map((part) => [...part].map(escape).join(""));
      expect(whole(shapes, `"${prefix}${body}"`)).toBe(`"${prefix}${stars(body ?? "")}"`);
    }
  });

  it.each([
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "OPENSSH PRIVATE KEY",
    "PGP PRIVATE KEY BLOCK",
  ])("a PEM %s, in a file, in JSON, in JSON in JSON, in a URL and in one line", (type) => {
    const file = pem(type, "\n");
    const json = JSON.stringify({ key: file });
    for (const text of [
      file,
      pem(type, "\r\n"),
      json,
      JSON.stringify(json),
      encodeURIComponent(file),
      pem(type, ""),
    ]) {
      const masked = whole(shapes, `before ${text} after`);
      for (const line of [...KEY_LINES, "aGk="]) expect(masked).not.toContain(line.slice(0, 8));
      expect(masked.length).toBe(text.length + 13);
      for (const rest of ["before ", "-----BEGIN", "-----END", " after"]) expect(masked).toContain(rest);
      if (text === json) expect(Object.keys(JSON.parse(masked.slice(7, -6)))).toEqual(["key"]);
      if (text === file) expect(masked.split("\n").length).toBe(`before ${text} after`.split("\n").length);
    }
  });

  it("a PEM key with fields before its body", () => {
    const fields = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF0123456789ABCDEF\n\n";
    const file = pem("RSA PRIVATE KEY", "\n").replace("-----\n", `-----\n${fields}`);
    for (const text of [file, JSON.stringify(file)]) {
      const masked = whole(shapes, text);
      expect(masked).toContain("DEK-Info: AES-128-CBC");
      for (const line of KEY_LINES) expect(masked).not.toContain(line.slice(0, 8));
    }
  });
});

describe("what is no credential stays", () => {
  it.each([
    ["a publishable key", "pk_live_51NaQbTcRdUeVfWgXhYiZjAk"],
    ["what Stripe means for clients", "pi_3MtwBwLkdIwHu7ix28a3tqPa_secret_YrKJUKribcBjcG8HVhfZluoGH"],
    ["a short rest", "sk_live_short"],
    ["a word that ends like a prefix", "task-abcdefghijklmnopqrstuvwxyz0123456789"],
    ["a slug", "sk-learn-contrib-imbalanced-learn-extensions"],
    ["a prefix within a run", `x.ghp_${"a1B2c3D4e5F6".repeat(3)}`],
    ["an exact length that is exceeded", `AIza${"a".repeat(36)}`],
    ["a digest", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    ["a UUID", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"],
    [
      "a JSON Web Token",
      "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    ],
    [
      "the key's id in a signed URL",
      "https://b.s3.amazonaws.com/x?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20260101%2Fus-east-1&X-Amz-Signature=ab",
    ],
    ["a public key", pem("PUBLIC KEY", "\n")],
    ["a certificate", pem("CERTIFICATE", "\n")],
    [
      "prose about keys",
      "begins with -----BEGIN RSA PRIVATE KEY----- and is a secret, see averylongidentifier_of_a_page",
    ],
  ])("%s", (_what, text) => {
    for (const body of [text, JSON.stringify({ text })].map(bytesOf)) expect(shapes.whole(body)).toBe(body);
    expect(shapes.text(text)).toBe(text);
  });

  it("everything, where shapes are not looked for", () => {
    const off = createRedactor([bytesOf(SECRET)], { shapes: false, entropy: false, minted: true });
    for (const { prefix, body } of EXAMPLES)
      expect(whole(off, `"${prefix}${body}"`)).toBe(`"${prefix}${body}"`);
  });
});

describe("the rules are of the form that the search takes", () => {
  it.each(SHAPE_RULES.map((rule) => [rule.id, rule] as const))("%s", (_id, { prefixes, body, min, max }) => {
    for (const prefix of prefixes) {
      expect(prefix).toMatch(/^[A-Za-z0-9_.-]{3,}$/);
      expect(prefix.length + min).toBeGreaterThanOrEqual(SHORTEST_SHAPE);
      expect(prefix.length + (max ?? min)).toBeLessThan(LONGEST_SHAPE);
      expect(max ?? min).toBeGreaterThanOrEqual(min);
      // A run is found by its first 20 characters.
      if (body === "base64") expect(prefix.length + min).toBeGreaterThanOrEqual(2 * SHORTEST_SHAPE - 4);
    }
  });
});

describe("attack 40: a stream is masked wherever it is cut", () => {
  const long = `sk-ant-${noise(3000, BASE64.slice(0, 62), 9)}`;
  const around = '{"a":"b c\\n"}'.repeat(150);
  const BODIES: Readonly<Record<string, string>> = {
    "a key": `{"k":"sk_live_51NaQbTcRdUeVfWgXhYiZjAk","x":1}`,
    "an exact key": `{"k":"AIza${"b1".repeat(17)}c","x":"AIza${"b1".repeat(18)}"}`,
    "a long key": `{"k":"${long}","x":1}`,
    "a PEM key in JSON": JSON.stringify({ key: pem("PRIVATE KEY", "\n") }),
    "an escaped key": `k=${[..."ghp_a1B2c3D4e5F6a1B2c3D4e5F6a1B2c3D4e5F6"].map((char) => `%${char.charCodeAt(0).toString(16)}`).join("")}&x`,
    "a long key with an escape in it": `{"k":"${long.slice(0, 60)}\\u002d${long.slice(60)}"}`,
  };
  for (const [name, text] of Object.entries(BODIES)) {
    it(name, async () => {
      const body = bytesOf(around + text + around);
      const expected = textOf(shapes.whole(body));
      expect(expected).not.toBe(textOf(body));
      const step = Math.max(1, Math.floor(text.length / 60));
      for (let offset = around.length - 5; offset < around.length + text.length + 5; offset += step) {
        for (const offsets of [[offset], [offset, offset + 700], [offset - 900, offset - 899, offset]]) {
          const { output } = await pumped(shapes, "distance", cut(body, offsets));
          expect(textOf(output)).toBe(expected);
        }
      }
      const bytewise = Array.from(body.keys()).slice(1);
      expect(textOf((await pumped(shapes, "distance", cut(body, bytewise))).output)).toBe(expected);
    });
  }

  it("in events and lines, which are masked one by one", async () => {
    for (const mode of MODES) {
      const end = mode === "lines" ? "\n" : "\n\n";
      const key = "ghp_a1B2c3D4e5F6a1B2c3D4e5F6a1B2c3D4e5F6";
      const body = bytesOf(`data: {"k":"${key}"}${end}data: ${key}${end}data: x${end}`);
      const expected = `data: {"k":"ghp_${stars(key.slice(4))}"}${end}data: ghp_${stars(key.slice(4))}${end}data: x${end}`;
      for (let offset = 1; offset < body.length; offset++)
        expect(textOf((await pumped(shapes, mode, cut(body, [offset]))).output)).toBe(expected);
    }
  });

  it("what is held back is the same whether a key comes or not", async () => {
    const key = "sk_live_51NaQbTcRdUeVfWgXhYiZjAk";
    const timings = [key, "?".repeat(key.length)].map(async (text) => {
      const body = bytesOf(`${"a b ".repeat(1000)}${text}${" c d".repeat(1000)}`);
      const thirds = Array.from({ length: Math.floor(body.length / 3) }, (_, index) => 3 * index + 1);
      return (await pumped(shapes, "distance", cut(body, thirds))).afterEach;
    });
    const [withKey, without] = await Promise.all(timings);
    expect(withKey).toEqual(without);
  });
});

describe("attack 88: hostile bodies cost no more than their length", () => {
  it.each([
    "sk_live_",
    "sk-",
    "ghp_a ",
    "EAAC",
    `EAAC${"a".repeat(99)} `,
    `AKIA${"A".repeat(15)}.`,
    "-----BEGIN PRIVATE KEY-----\n",
    `${"a".repeat(20)}\n`,
    `${"a".repeat(20)}+`,
    `${"a".repeat(20)}.`,
    "PRIVATE KEY-----\\nabcdefghijklmnopqrstuvwxyz:",
    `"access_token":"`,
    `"access_token" `,
    "access_token=a&",
    "%41",
    "\\u0041",
  ])("%j over and over", (unit) => {
    const all = createRedactor([bytesOf(SECRET)], { shapes: true, entropy: true, minted: true });
    const timeOf = (size: number): number => {
      const body = bytesOf(unit.repeat(size / unit.length));
      const startedAt = Date.now();
      all.whole(body);
      return Date.now() - startedAt;
    };
    // What grows with the square takes minutes.
    expect(timeOf(2_000_000)).toBeLessThan(4_000);
  });

  it("the search for the values is as linear as without", () => {
    const redactor = new FormRedactor([bytesOf("a".repeat(30))], {
      shapes: true,
      entropy: true,
      minted: true,
    });
    redactor.whole(bytesOf("sk_live_aaaa".repeat(10_000)));
    expect(redactor.scanner.steps / 120_000).toBeLessThan(50);
  });
});

describe("what looks drawn at random is masked where that is asked for", () => {
  it("base64, base64url and hexadecimal of 32 characters and more, up to 512", () => {
    for (const [alphabet, lengths] of [
      [BASE64, [48, 64, 300, 512]],
      [`${BASE64.slice(0, 62)}-_`, [48, 512]],
      ["0123456789abcdef", [40, 64, 128]],
    ] as const) {
      for (const length of lengths) {
        const text = noise(length, alphabet, length);
        expect(whole(entropy, `{"k":"${text}","a":1}`)).toBe(`{"k":"${stars(text)}","a":1}`);
      }
    }
  });

  it("not words, numbers, short runs or data", () => {
    for (const text of [
      "the_quick_brown_fox_jumps_over_the_lazy_dog",
      "0".repeat(64),
      "12345678901234567890123456789012",
      "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
      noise(31, BASE64, 5),
      noise(5000, BASE64, 6),
      noise(513, BASE64, 7),
    ]) {
      const body = bytesOf(`{"k":"${text}","a":1}`);
      expect(entropy.whole(body)).toBe(body);
    }
  });

  it("not by default, with shapes", () => {
    const body = bytesOf(`{"k":"${noise(64, BASE64, 8)}"}`);
    expect(shapes.whole(body)).toBe(body);
  });

  it("attack 40: the same wherever a stream is cut", async () => {
    const random = noise(400, BASE64, 10);
    const text = `"${random}.${random.slice(0, 50)}" "${noise(2000, BASE64, 11)}" "${random.slice(0, 40)}"`;
    const around = "a b ".repeat(500);
    const body = bytesOf(around + text + around);
    const expected = textOf(entropy.whole(body));
    expect(expected).toContain(stars(random));
    for (let offset = around.length - 900; offset < around.length + text.length + 900; offset += 37) {
      const { output } = await pumped(entropy, "distance", cut(body, [offset, offset + 1]));
      expect(textOf(output)).toBe(expected);
    }
  });
});
