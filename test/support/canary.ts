import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";

const watched = new Set<string>();

/** Every secret that a test stores; each must be in nothing that a gateway leaves behind. */
export function watchSecret(value: string): void {
  if (value.length >= 8 && value.length <= 4096) watched.add(value);
}

/** The forms of attacks 36–39 that can be searched for as bytes. */
export function formsOf(value: string): Buffer[] {
  const bytes = Buffer.from(value, "utf8");
  const each = (encode: (byte: number) => string): string => [...bytes].map(encode).join("");
  const hex = (byte: number): string => byte.toString(16).padStart(2, "0");
  const forms = [
    value,
    bytes.toString("hex"),
    bytes.toString("hex").toUpperCase(),
    encodeURIComponent(value),
    each((byte) => `%${hex(byte)}`),
    each((byte) => `%${hex(byte).toUpperCase()}`),
    each((byte) => `\\u00${hex(byte)}`),
    each((byte) => `&#${byte};`),
    each((byte) => `&#x${hex(byte)};`),
    JSON.stringify(value).slice(1, -1),
    JSON.stringify(JSON.stringify(value)).slice(3, -3),
  ];
  for (let alignment = 0; alignment < 3; alignment++) {
    const padded = Buffer.concat([
      Buffer.alloc(alignment),
      bytes,
      Buffer.alloc((3 - ((alignment + bytes.length) % 3)) % 3),
    ]);
    const tail = (alignment + bytes.length) % 3 === 0 ? 0 : 4;
    const inner = padded.toString("base64").slice(alignment === 0 ? 0 : 4, tail === 0 ? undefined : -tail);
    forms.push(inner, inner.replaceAll("+", "-").replaceAll("/", "_"));
  }
  return [...new Set(forms)].filter((form) => form.length >= 8).map((form) => Buffer.from(form, "utf8"));
}

function* files(directory: string): Generator<string> {
  for (const name of readdirSync(directory)) {
    const file = path.join(directory, name);
    if (statSync(file).isDirectory()) yield* files(file);
    else yield file;
  }
}

/**
 * Searches what a gateway leaves behind: its databases and objects on disk, write-ahead logs included, and all that it
 * printed. Names each place where a stored secret stands in any form; never the secret.
 */
export function placesWithSecrets(stateDir: string, logs: string): string[] {
  const forms = [...watched].flatMap(formsOf);
  const contains = (bytes: Buffer): boolean => forms.some((form) => bytes.includes(form));
  const places = contains(Buffer.from(logs)) ? ["what the gateway printed"] : [];
  for (const kept of ["d1", "do"]) {
    const directory = path.join(stateDir, kept);
    for (const file of files(directory)) {
      if (contains(readFileSync(file))) places.push(path.relative(stateDir, file));
    }
  }
  return places;
}
