import type { ReleaseMode } from "../../../src/gateway/redact/framing.ts";
import type { Redactor } from "../../../src/gateway/redact/redactor.ts";

/** Holds every character that one of the encodings treats specially, and none that only letters and digits would. */
export const SECRET = "sk_live_51Na+b/c=d&e%f\\g\"h<i>j'k~L";
export const PLAIN_SECRET = "sk-proj-AbCdEf0123456789ghIJKLmnop";

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

const hex = (char: string): string => char.charCodeAt(0).toString(16).padStart(2, "0");
const each = (text: string, encode: (char: string, index: number) => string): string =>
  [...text].map(encode).join("");
const json = (text: string): string => JSON.stringify(text).slice(1, -1);
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const html = (text: string): string =>
  each(
    text,
    (char) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;" })[char] ?? char,
  );

/** What one character can be written as. */
export const ONCE: Readonly<Record<string, (char: string) => string>> = {
  "percent, lower case": (char) => `%${hex(char)}`,
  "percent, upper case": (char) => `%${hex(char).toUpperCase()}`,
  "JSON unit": (char) => `\\u00${hex(char)}`,
  "JSON unit, upper case": (char) => `\\u00${hex(char).toUpperCase()}`,
  "JavaScript byte": (char) => `\\x${hex(char)}`,
  "JavaScript code point": (char) => `\\u{${hex(char)}}`,
  octal: (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}`,
  "decimal entity": (char) => `&#${char.charCodeAt(0)};`,
  "decimal entity with zeros": (char) => `&#0000${char.charCodeAt(0)};`,
  "hexadecimal entity": (char) => `&#x${hex(char)};`,
  "hexadecimal entity with zeros": (char) => `&#X000${hex(char).toUpperCase()};`,
};

/** What it can be written as where one encoding wraps another. */
export const TWICE: Readonly<Record<string, (char: string) => string>> = {
  "double percent": (char) => `%25${hex(char)}`,
  "JSON unit in JSON": (char) => `\\\\u00${hex(char)}`,
  "JSON unit, percent-encoded": (char) => `%5cu00${hex(char)}`,
  "entity in JSON": (char) => `\\u0026#${char.charCodeAt(0)};`,
  "entity, escaped as HTML": (char) => `&amp;#${char.charCodeAt(0)};`,
};

/** Whole-value encodings. Each answers the bytes in which the secret sits, with nothing around it. */
export const ECHOES: Readonly<Record<string, (secret: string) => string>> = {
  raw: (secret) => secret,
  "percent-encoded where a URL needs it": encodeURIComponent,
  "percent-encoded twice": (secret) => encodeURIComponent(encodeURIComponent(secret)),
  "percent-encoded three times": (secret) =>
    encodeURIComponent(encodeURIComponent(encodeURIComponent(secret))),
  "URL form": (secret) => new URLSearchParams({ k: secret }).toString().slice(2),
  "hexadecimal, lower case": (secret) => Buffer.from(secret).toString("hex"),
  "hexadecimal, upper case": (secret) => Buffer.from(secret).toString("hex").toUpperCase(),
  "hexadecimal, mixed case": (secret) =>
    each(Buffer.from(secret).toString("hex"), (char, i) => (i % 3 ? char : char.toUpperCase())),
  "a JSON string": json,
  "a JSON string with \\/": (secret) => json(secret).replaceAll("/", "\\/"),
  "JSON in JSON": (secret) => json(json(secret)),
  "JSON in JSON in JSON": (secret) => json(json(json(secret))),
  "JSON in a URL": (secret) => encodeURIComponent(json(secret)),
  "a URL in JSON in JSON": (secret) => json(json(encodeURIComponent(secret).replaceAll("%2F", "/"))),
  HTML: html,
  "HTML in JSON": (secret) => json(html(secret)),
  "HTML in JSON with <, > and & as units": (secret) =>
    json(html(secret)).replaceAll(/[<>&]/g, (char) => `\\u00${hex(char)}`),
  "a regular expression": (secret) => each(secret, (char) => (/[A-Za-z0-9]/.test(char) ? char : `\\${char}`)),
  "base64, percent-encoded": (secret) => encodeURIComponent(base64(secret)),
  "base64, in JSON with \\/": (secret) => base64(secret).replaceAll("/", "\\/"),
  "base64, every character a unit": (secret) => each(base64(secret), (char) => `\\u00${hex(char)}`),
  "base64 of base64": (secret) => base64(base64(secret)),
  "base64 of the JSON string": (secret) => base64(json(secret)),
  "base64 in lines of 60 characters": (secret) =>
    base64(`${"x".repeat(40)}${secret}`).replaceAll(/.{60}/g, "$&\n"),
  "base64 in lines of 76 characters, in JSON": (secret) =>
    json(base64(`${"x".repeat(40)}${secret}`).replaceAll(/.{76}/g, "$&\r\n")),
  "hexadecimal, percent-encoded": (secret) =>
    each(Buffer.from(secret).toString("hex"), (char) => `%${hex(char)}`),
  "hexadecimal of base64": (secret) => Buffer.from(base64(secret)).toString("hex"),
  ...Object.fromEntries(
    Object.entries({ ...ONCE, ...TWICE }).flatMap(([name, encode]) => [
      [`every character: ${name}`, (secret: string) => each(secret, encode)],
      [
        `every other letter: ${name}`,
        (secret: string) =>
          each(secret, (char, i) => (/[A-Za-z0-9]/.test(char) && i % 2 ? char : encode(char))),
      ],
    ]),
  ),
};

/** Runs `pieces` through a pump and answers what came out, and how much of it was out after each piece. */
export async function pumped(
  redactor: Redactor,
  mode: ReleaseMode,
  pieces: readonly Uint8Array[],
): Promise<{ output: Uint8Array; afterEach: number[] }> {
  const out: Uint8Array[] = [];
  const afterEach: number[] = [];
  let passed = 0;
  let next = 0;
  const source = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (next > 0) afterEach.push(passed);
        const piece = pieces[next++];
        if (piece) controller.enqueue(piece.slice());
        else controller.close();
      },
    },
    { highWaterMark: 0 },
  );
  const sink = new WritableStream<Uint8Array>({ write: (chunk) => void out.push(chunk.slice()) });
  await redactor.pump(source, sink, mode, (count) => (passed += count));
  const output = new Uint8Array(Buffer.concat(out));
  return { output, afterEach };
}

/** `bytes` cut at the given offsets. */
export function cut(bytes: Uint8Array, offsets: readonly number[]): Uint8Array[] {
  const edges = [0, ...offsets, bytes.length];
  return edges.slice(1).map((edge, i) => bytes.slice(edges[i], edge));
}
