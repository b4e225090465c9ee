import { fold } from "./fold.ts";
import { EscapeReader } from "./escape-reader.ts";
import { unescape } from "./unescape.ts";
import { ALL_WORTH } from "./worth.ts";

/** A byte string to search for, folded (`fold.ts`). */
export interface Form {
  readonly bytes: Uint8Array;
  /** The character before holds some bits of the secret beside bits of what precedes it (base64 off its grid). */
  readonly sharesFirst: boolean;
  /** The same of the character after. */
  readonly sharesLast: boolean;
}

/** Shorter than this, a form would be found by chance. */
const SHORTEST = 8;
/** Above this size a value is looked for as it is, in base64 and in hex, but not in encodings of encodings. */
const LONGEST_NESTED = 4096;
const DECODINGS = 3;

/**
 * Every fixed form of the values: themselves, in UTF-16, in base64 at the three alignments and in hexadecimal, the same
 * of their usual escapes and of their base64 (an echo may encode a whole document). What is escaped character by
 * character is not listed here: the search unescapes first.
 */
export function formsOf(values: readonly Uint8Array[]): Form[] {
  const forms = new Map<string, Form>();
  const add = (bytes: Uint8Array, sharesFirst = false, sharesLast = false): void => {
    if (bytes.length < SHORTEST) return;
    const folded = fold(bytes);
    forms.set(`${sharesFirst}${sharesLast}${latin1(folded)}`, { bytes: folded, sharesFirst, sharesLast });
  };
  for (const value of values) {
    const spellings = spellingsOf(value);
    for (const spelling of spellings) {
      add(spelling);
      add(wideOf(spelling));
    }
    const nested = value.length <= LONGEST_NESTED ? spellings.flatMap(escapedOf) : [];
    for (const text of [...spellings, ...nested]) {
      if (text.length < SHORTEST) continue;
      add(ascii(Buffer.from(text).toString("hex")));
      for (const alignment of [0, 1, 2]) addBase64(text, alignment, add);
    }
  }
  return [...forms.values()];
}

/** The characters of base64 that are determined by `text` alone when it begins `alignment` bytes into a group. */
function addBase64(
  text: Uint8Array,
  alignment: number,
  add: (bytes: Uint8Array, sharesFirst: boolean, sharesLast: boolean) => void,
): void {
  const padded = new Uint8Array(alignment + text.length + 2);
  padded.set(text, alignment);
  const lastBit = 8 * (alignment + text.length);
  const characters = Buffer.from(padded).toString("base64");
  add(
    ascii(characters.slice(Math.ceil((8 * alignment) / 6), Math.floor(lastBit / 6))),
    alignment > 0,
    lastBit % 6 > 0,
  );
}

/** The value as an upstream may write it without any encoding: trimmed, with other line ends, without backslashes. */
function spellingsOf(value: Uint8Array): Uint8Array[] {
  const text = latin1(value);
  const unix = text.trim().replaceAll("\r\n", "\n");
  const spellings = [
    value,
    ...[text.trim(), unix, unix.replaceAll("\n", "\r\n"), text.replaceAll("\\", "")].map(ascii),
  ];
  // Bytes above ASCII come back as UTF-8 of Latin-1 where a server reads headers as Latin-1, and the other way round.
  if (value.some((byte) => byte >= 0x80)) {
    spellings.push(Buffer.from(text, "utf8"));
    const decoded = Buffer.from(value).toString("utf8");
    if (!/[\u0100-\uffff]/.test(decoded)) spellings.push(Buffer.from(decoded, "latin1"));
  }
  // A value that itself holds escapes comes back without them where they are undone, in the text or by our search.
  let undone = undo(value);
  for (let i = 0; i < DECODINGS && undone; i++) {
    spellings.push(undone);
    undone = undo(undone);
  }
  return spellings;
}

/**
 * UTF-16, which spreadsheets and Windows write into files that say nothing of it. Of ASCII and without the zero byte at
 * its end (or its beginning), it is the same in either order of bytes.
 */
function wideOf(value: Uint8Array): Uint8Array {
  return Buffer.from(Buffer.from(value).toString("utf8"), "utf16le").subarray(0, -1);
}

/** The value as it stands inside JSON, a URL, HTML or a Basic header, to be encoded once more with all around it. */
function escapedOf(value: Uint8Array): Uint8Array[] {
  const text = latin1(value);
  const json = JSON.stringify(text).slice(1, -1);
  // By RFC 3986, as JavaScript's `encodeURIComponent`, and as forms are: they differ in what they leave as it is.
  const percent = [/[^A-Za-z0-9._~-]/g, /[^A-Za-z0-9._~!'()*-]/g, /[^A-Za-z0-9._* -]/g].map((escaped) =>
    text.replaceAll(escaped, (char) => `%${hexByte(char).toUpperCase()}`).replaceAll(" ", "+"),
  );
  const html = text.replaceAll(
    /[&<>"]/g,
    (char) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[char] ?? "&quot;",
  );
  const base64 = Buffer.from(value).toString("base64");
  return [...new Set([json, json.replaceAll("/", "\\/"), ...percent, html, base64])].map(ascii);
}

/** The value with all of its escapes undone once, if it has any. */
function undo(value: Uint8Array): Uint8Array | undefined {
  const notes = new EscapeReader(value, value.length, ALL_WORTH).cluster(Infinity);
  return notes && unescape(value, 0, value.length, notes);
}

function hexByte(char: string): string {
  return char.charCodeAt(0).toString(16).padStart(2, "0");
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

function ascii(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}
