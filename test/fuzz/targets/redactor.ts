import assert from "node:assert/strict";
import { createRedactor, type Redactor } from "../../../src/gateway/redact/redactor.ts";

const STAR = 0x2a;
/**
 * One of letters and digits, one of what encodings treat specially, one that holds the rest of an escape; one that begins
 * with it, and one that ends as an escape begins.
 */
export const SECRETS = [
  "sk-proj-AbCdEf0123456789",
  "s3cr/t+K=y&<9>",
  "ycd/Aefg41+0=x",
  "41cd/Aefg+01&x",
  "cd/Aefg+01=x&am",
];
const redactors = SECRETS.map((secret) => createRedactor([Buffer.from(secret)]));

type Decoder = (text: string) => string;

const character = (digits: string, base: number): string => {
  const code = Number.parseInt(digits, base);
  return code <= 0x10ffff ? String.fromCodePoint(code) : "\ufffd";
};
const LETTERS: Readonly<Record<string, string>> = { b: "\b", t: "\t", n: "\n", v: "\v", f: "\f", r: "\r" };
const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** Decoders as a client's libraries have them, written without regard to speed; each undoes its own layer once. */
export const DECODERS: Readonly<Record<string, Decoder>> = {
  json: (text) =>
    text.replaceAll(
      /\\(?:u([0-9a-f]{4})|x([0-9a-f]{2})|([btnvfr])|([^A-Za-z0-9]))/gi,
      (all, unit, byte, letter, own) => {
        if (unit ?? byte) return character(unit ?? byte, 16);
        return letter ? (LETTERS[letter] ?? all) : own;
      },
    ),
  percent: (text) => text.replaceAll(/%([0-9a-f]{2})/gi, (_, digits: string) => character(digits, 16)),
  html: (text) =>
    text.replaceAll(
      /&(?:#x([0-9a-f]{1,6});|#([0-9]{1,7});|(amp|lt|gt|quot|apos);)/gi,
      (all, hex, decimal, name) => {
        if (hex ?? decimal) return character(hex ?? decimal, hex ? 16 : 10);
        return ENTITIES[name] ?? all;
      },
    ),
};

/** Whether a client that decodes `text` in some order, up to `depth` times, comes to read the secret. */
export function canBeRead(text: string, secret: string, depth: number): boolean {
  if (text.includes(secret)) return true;
  if (depth === 0) return false;
  return Object.values(DECODERS).some((decode) => {
    const once = decode(text);
    return once !== text && canBeRead(once, secret, depth - 1);
  });
}

/** Masking changes nothing but to `*`, keeps the length, and leaves nothing that decodes to the secret. */
export function checkMasked(redactor: Redactor, secret: string, body: Uint8Array, depth: number): Uint8Array {
  const output = redactor.whole(body);
  assert.equal(output.length, body.length);
  for (let at = 0; at < body.length; at++) assert.ok(output[at] === body[at] || output[at] === STAR);
  const text = Buffer.from(output).toString("latin1");
  assert.ok(!canBeRead(text, secret, depth), `the secret can be read in ${JSON.stringify(text)}`);
  return output;
}

const hex = (char: string): string => char.charCodeAt(0).toString(16).padStart(2, "0");
/** What one character of a secret can be written as. */
export const WRITTEN: readonly ((char: string) => string)[] = [
  (char) => char,
  (char) => `%${hex(char)}`,
  (char) => `\\u00${hex(char)}`,
  (char) => `\\x${hex(char)}`,
  (char) => `&#${char.charCodeAt(0)};`,
  (char) => `&#x${hex(char)};`,
  (char) => (/[A-Za-z0-9]/.test(char) ? char : `\\${char}`),
  (char) => `%25${hex(char)}`,
  (char) => `\\u0026#${char.charCodeAt(0)};`,
  (char) => encodeURIComponent(char),
  (char) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[char] ?? char,
];

/**
 * A body out of a fuzzer's bytes: 0xff is the secret as it is, others above ASCII its next character in one of the
 * spellings, the rest stands for itself.
 */
export function bodyOf(data: Uint8Array, secret: string): Buffer {
  let next = 0;
  let text = "";
  for (const byte of data) {
    if (byte === 0xff) text += secret;
    else if (byte >= 0x80) {
      text += WRITTEN[byte % WRITTEN.length]?.(secret[next % secret.length] ?? "") ?? "";
      next++;
    } else text += String.fromCharCode(byte);
  }
  return Buffer.from(text, "latin1");
}

export function fuzz(data: Buffer): void {
  const which = (data[0] ?? 0) % SECRETS.length;
  const secret = SECRETS[which] ?? "";
  const redactor = redactors[which];
  if (redactor !== undefined) checkMasked(redactor, secret, bodyOf(data.subarray(1, 300), secret), 2);
}
