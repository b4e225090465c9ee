import { constants, createDeflateRaw } from "node:zlib";

const each = (text: string, encode: (character: string, index: number) => string) =>
  [...text].map(encode).join("");
const hex = (character: string) => character.charCodeAt(0).toString(16).padStart(2, "0");
const json = (text: string) => JSON.stringify(text).slice(1, -1);
const base64 = (text: string) => Buffer.from(text, "latin1").toString("base64");
const html = (text: string) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

/** How an upstream may write what it received, on one line. */
export type Encoding = (secret: string) => string;

/** By attack: 36 raw, 37 base64, 39 the others. */
export const ENCODINGS: readonly {
  readonly attack: number;
  readonly name: string;
  readonly encode: Encoding;
}[] = [
  { attack: 36, name: "raw", encode: (secret) => secret },
  { attack: 36, name: "raw, between letters", encode: (secret) => `abc${secret}xyz` },
  { attack: 36, name: "upper case", encode: (secret) => secret.toUpperCase() },
  ...[0, 1, 2].flatMap((alignment) => {
    const text = (secret: string) => `${"id:".slice(0, alignment)}${secret}`;
    return [
      { attack: 37, name: `base64 at ${alignment}`, encode: (secret: string) => base64(text(secret)) },
      {
        attack: 37,
        name: `base64 at ${alignment}, more behind`,
        encode: (secret: string) => base64(`${text(secret)}, and so on`),
      },
      {
        attack: 37,
        name: `base64 at ${alignment}, unpadded`,
        encode: (secret: string) => base64(text(secret)).replace(/=+$/, ""),
      },
      {
        attack: 37,
        name: `base64url at ${alignment}`,
        encode: (secret: string) => Buffer.from(text(secret), "latin1").toString("base64url"),
      },
    ];
  }),
  { attack: 37, name: "base64 of base64", encode: (secret) => base64(base64(secret)) },
  { attack: 37, name: "base64 of JSON", encode: (secret) => base64(JSON.stringify({ key: secret })) },
  {
    attack: 37,
    name: "base64, percent-encoded",
    encode: (secret) => encodeURIComponent(base64(`a${secret}`)),
  },
  { attack: 39, name: "percent, what a URL needs", encode: encodeURIComponent },
  {
    attack: 39,
    name: "percent, every byte",
    encode: (secret) => each(secret, (character) => `%${hex(character)}`),
  },
  {
    attack: 39,
    name: "percent, every byte, capitals",
    encode: (secret) => each(secret, (character) => `%${hex(character).toUpperCase()}`),
  },
  {
    attack: 39,
    name: "percent, every third byte",
    encode: (secret) => each(secret, (character, index) => (index % 3 ? character : `%${hex(character)}`)),
  },
  { attack: 39, name: "percent twice", encode: (secret) => encodeURIComponent(encodeURIComponent(secret)) },
  { attack: 39, name: "a form", encode: (secret) => new URLSearchParams({ k: secret }).toString() },
  { attack: 39, name: "hex", encode: (secret) => Buffer.from(secret, "latin1").toString("hex") },
  {
    attack: 39,
    name: "hex, capitals",
    encode: (secret) => Buffer.from(secret, "latin1").toString("hex").toUpperCase(),
  },
  { attack: 39, name: "JSON", encode: json },
  { attack: 39, name: "JSON in JSON", encode: (secret) => json(json(secret)) },
  { attack: 39, name: "JSON in JSON in JSON", encode: (secret) => json(json(json(secret))) },
  {
    attack: 39,
    name: "\\u, every character",
    encode: (secret) => each(secret, (character) => `\\u00${hex(character)}`),
  },
  {
    attack: 39,
    name: "\\u, every other character, capitals",
    encode: (secret) =>
      each(secret, (character, index) =>
        index % 2 ? json(character) : `\\u00${hex(character).toUpperCase()}`,
      ),
  },
  {
    attack: 39,
    name: "\\x, every character",
    encode: (secret) => each(secret, (character) => `\\x${hex(character)}`),
  },
  {
    attack: 39,
    name: "\\u in JSON",
    encode: (secret) => json(each(secret, (character) => `\\u00${hex(character)}`)),
  },
  { attack: 39, name: "HTML", encode: html },
  {
    attack: 39,
    name: "HTML, every character, decimal",
    encode: (secret) => each(secret, (character) => `&#${character.charCodeAt(0)};`),
  },
  {
    attack: 39,
    name: "HTML, every character, hexadecimal",
    encode: (secret) => each(secret, (character) => `&#x${hex(character)};`),
  },
  { attack: 39, name: "HTML in JSON", encode: (secret) => json(html(secret)) },
  { attack: 39, name: "JSON, percent-encoded", encode: (secret) => encodeURIComponent(json(secret)) },
  {
    attack: 39,
    name: "a mixture, character by character",
    encode: (secret) =>
      each(
        secret,
        (character, index) =>
          [`%${hex(character)}`, `\\u00${hex(character)}`, `&#x${hex(character)};`][index % 3] ?? "",
      ),
  },
];

/**
 * Compressed data (RFC 1952) that grows to `megabytes` MB of zeros, a thousand times its size. Its check sum is wrong:
 * whoever gets so far has been hit already.
 */
export async function gzipBomb(megabytes: number): Promise<Buffer> {
  const deflate = createDeflateRaw({ level: 9 });
  const parts: Buffer[] = [];
  deflate.on("data", (part: Buffer) => parts.push(part));
  deflate.write(Buffer.alloc(1024 * 1024));
  // After a full flush nothing refers to what came before: the same bytes may stand there again and again.
  await new Promise<void>((resolve) => deflate.flush(constants.Z_FULL_FLUSH, () => resolve()));
  const block = Buffer.concat(parts);
  const head = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
  const end = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([head, ...Array.from({ length: megabytes }, () => block), end]);
}
