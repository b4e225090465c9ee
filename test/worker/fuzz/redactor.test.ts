import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRedactor } from "../../../src/gateway/redact/redactor.ts";
import { bodyOf, checkMasked } from "../../fuzz/targets/redactor.ts";
import { cut, pumped } from "../redact/echoes.ts";

const seed = 20_261_122;
const json = (text: string): string => JSON.stringify(text).slice(1, -1);
const html = (text: string): string => text.replaceAll(/[&<>]/g, (char) => `&#${char.charCodeAt(0)};`);
const base64 = (text: string): string => Buffer.from(text, "latin1").toString("base64");
const base64url = (text: string): string => Buffer.from(text, "latin1").toString("base64url");
const hex = (text: string): string => Buffer.from(text, "latin1").toString("hex");

/** As PHP writes JSON. */
const php = (text: string): string => json(text).replaceAll("/", "\\/");

/** Escapes, as one layer around whatever is in them; up to three of them lie around each other. */
const LAYERS = [json, php, html, encodeURIComponent];
/** What stood around the secret when it was escaped, before it was made base64 or hexadecimal with all around it. */
const form = (text: string): string => new URLSearchParams({ k: text }).toString().slice(2);
const INNER = [(text: string) => text, json, php, encodeURIComponent, form, base64];
/** What makes other characters of the whole. */
const WHOLES = [(text: string) => text, base64, base64url, hex];

const secret = fc
  .array(fc.integer({ min: 0x21, max: 0x7e }), { minLength: 12, maxLength: 60 })
  .map((codes) => String.fromCharCode(...codes))
  // What itself looks escaped has its own test: no decoder could tell its layers from those around it.
  .filter((text) => !/[%\\&]/.test(text));
const words = fc.stringMatching(/^[A-Za-z0-9 .,:{}[\]_-]{0,40}$/);

const nested = fc
  .record({
    secret,
    inner: fc.constantFrom(...INNER),
    whole: fc.constantFrom(...WHOLES),
    layers: fc.array(fc.constantFrom(...LAYERS), { maxLength: 3 }),
    around: fc.tuple(words, words, words, words),
    cuts: fc.array(fc.nat(3_000), { maxLength: 5 }),
  })
  .map(({ inner, whole, layers, around: [a, b, c, d], ...rest }) => {
    const document = whole(`${b}${inner(rest.secret)}${c}`);
    const around = (text: string): string => `${a} "${text}" ${d}`;
    return {
      ...rest,
      body: around(layers.reduce((text, layer) => layer(text), document)),
      bare: whole === WHOLES[0],
    };
  });

/** Every text that base64 or hexadecimal in `text` decodes to, at any alignment. */
function decodings(text: string): string[] {
  const runs = text.match(/[A-Za-z0-9+/_-]{8,}/g) ?? [];
  return runs.flatMap((run) => [
    ...[0, 1, 2, 3].map((skip) => Buffer.from(run.slice(skip), "base64").toString("latin1")),
    ...[0, 1].map((skip) => Buffer.from(run.slice(skip), "hex").toString("latin1")),
  ]);
}

function undoLayers(text: string): string {
  const once = text
    .replaceAll(/%([0-9A-F]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
    .replaceAll(/&#([0-9]+);/g, (_, digits: string) => String.fromCharCode(Number(digits)))
    .replaceAll(/\\(["/\\])/g, "$1");
  return once === text ? text : undoLayers(once);
}

describe("for any secret, whatever encodes whatever", () => {
  it("attacks 37 to 40: no decoding of what goes out holds it, wherever a stream was cut", async () => {
    let found = 0;
    await fc.assert(
      fc.asyncProperty(nested, async ({ secret: value, body, cuts }) => {
        const redactor = createRedactor([Buffer.from(value, "latin1")]);
        const bytes = Buffer.from(body, "latin1");
        const masked = redactor.whole(bytes);
        const plain = undoLayers(Buffer.from(masked).toString("latin1"));
        const twice = decodings(plain).flatMap((text) => [text, ...decodings(text)]);
        for (const text of [plain, ...twice]) expect(undoLayers(text).includes(value)).toBe(false);
        if (masked !== bytes) found++;
        const offsets = cuts.filter((offset) => offset < bytes.length).toSorted((one, other) => one - other);
        const { output } = await pumped(redactor, "distance", cut(bytes, offsets));
        expect(Buffer.from(output).equals(Buffer.from(masked))).toBe(true);
      }),
      { numRuns: 400, seed },
    );
    expect(found).toBe(400);
  });

  it("attack 39: whatever is between its characters, no client's decoders make it out of what goes out", () => {
    const value = "s3cr/t+K=y&<9>";
    const redactor = createRedactor([Buffer.from(value)]);
    const encoded = fc.array(
      fc.oneof(
        { weight: 8, arbitrary: fc.integer({ min: 0x80, max: 0xff }) },
        fc.integer({ min: 0x20, max: 0x7e }),
      ),
      {
        maxLength: 40,
      },
    );
    fc.assert(
      fc.property(encoded, (data) => {
        checkMasked(redactor, value, bodyOf(Uint8Array.from(data), value), 2);
      }),
      { numRuns: 500, seed },
    );
  });

  it("what is masked by its shape or its look does not depend on where a stream was cut", async () => {
    const piece = fc.oneof(
      fc.constantFrom(
        "sk_live_",
        "ghp_",
        "AKIA",
        '"access_token":"',
        "refresh_token=",
        "-----BEGIN PRIVATE KEY-----\\n",
        "%22",
        "\\n",
        "&",
        " ",
      ),
      fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/),
      fc.stringMatching(/^[a-z ]{1,60}$/),
    );
    const body = fc
      .array(piece, { minLength: 1, maxLength: 150 })
      .map((parts) => Buffer.from(parts.join("")));
    await fc.assert(
      fc.asyncProperty(body, fc.array(fc.nat(4_000), { maxLength: 6 }), async (bytes, cuts) => {
        const redactor = createRedactor([Buffer.from("a-secret-of-its-own")], {
          shapes: true,
          entropy: true,
          minted: true,
        });
        const offsets = cuts.filter((offset) => offset < bytes.length).toSorted((one, other) => one - other);
        const { output } = await pumped(redactor, "distance", cut(bytes, offsets));
        expect(Buffer.from(output).toString()).toBe(Buffer.from(redactor.whole(bytes)).toString());
      }),
      { numRuns: 150, seed },
    );
  });
});
