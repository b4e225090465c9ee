import { BASE64 } from "./fold.ts";
import { LEADS } from "./pairs.ts";

/** How many numbers note one escape: where it begins, where it ends, and what it stands for. */
export const NOTE = 3;
/** Stands for nothing: the break of a wrapped line. */
export const WRAPPED = 0;
/** A row of wrapped lines, from its first break to behind its last, to be joined. Its breaks are written alike. */
export const ROW = -1;

/** Encoders that wrap do so at 60, 64 or 76 characters; prose has no such run before a line's end. */
const SHORTEST_WRAPPED = 40;
const BACKSLASH = 0x5c;

export function isLineBreak(code: number): boolean {
  return code === 0x0a || code === 0x0d;
}

/** Whether a break of lines may begin with it, as it is or as `\n`. */
export function isOfBreak(byte: number): boolean {
  return isLineBreak(byte) || byte === BACKSLASH;
}

/** Whether a line ends before `at` that looks wrapped: of base64 or hexadecimal, and not short. */
export function isBehindLine(bytes: Uint8Array, at: number): boolean {
  if (at < SHORTEST_WRAPPED) return false;
  for (let i = at - 1; i >= at - SHORTEST_WRAPPED; i--) if (BASE64[bytes[i]!] === 0) return false;
  return true;
}

/**
 * Whether all that is undone are wraps, and no escape can come of it: a wrap stands behind more base64 than any escape
 * is long. Only what follows one directly, or ends a short line behind it, could be another.
 */
export function areWraps(bytes: Uint8Array, notes: readonly number[]): boolean {
  for (let i = 0; i < notes.length; i += NOTE)
    if (notes[i + 2]! > WRAPPED || LEADS[bytes[notes[i + 1]!]!] === 1) return false;
  return true;
}

/** Whether all that is undone are breaks of wrapped lines, as they are. */
export function arePlainBreaks(bytes: Uint8Array, notes: readonly number[]): boolean {
  for (let i = 0; i < notes.length; i += NOTE) {
    if (notes[i + 2]! > WRAPPED) return false;
    if (!isLineBreak(bytes[notes[i]!]!) || !isLineBreak(bytes[notes[i + 1]! - 1]!)) return false;
  }
  return true;
}

/**
 * The same array if no line is wrapped. Lines are joined only for the values' sake, which are known in full: a
 * credential of a known shape would go on into the next line, whatever stands there.
 */
export function withoutWraps(notes: readonly number[]): readonly number[] {
  let wraps = 0;
  for (let i = 0; i < notes.length; i += NOTE) if (notes[i + 2]! <= WRAPPED) wraps++;
  if (wraps === 0) return notes;
  if (NOTE * wraps === notes.length) return [];
  return notes.filter((_, i) => notes[i - (i % NOTE) + 2]! > WRAPPED);
}

/** The same with a note for each break of the rows. */
export function singly(bytes: Uint8Array, notes: readonly number[]): readonly number[] {
  const all: number[] = [];
  for (let i = 0; i < notes.length; i += NOTE) {
    const [first, end, escape] = [notes[i]!, notes[i + 1]!, notes[i + 2]!];
    if (escape === ROW) addBreaks(bytes, first, end, all);
    else all.push(first, end, escape);
  }
  return all;
}

function addBreaks(bytes: Uint8Array, first: number, end: number, notes: number[]): void {
  for (let at = first; at < end;) {
    const behind = behindBreak(bytes, at);
    const isWrap = behind > at && (at === first || isBehindLine(bytes, at));
    if (isWrap) notes.push(at, behind, WRAPPED);
    at = isWrap ? behind : at + 1;
  }
}

/** Behind the break that begins at `at`, where two are one; `at`, where none does. */
function behindBreak(bytes: Uint8Array, at: number): number {
  const behind = behindHalf(bytes, at);
  return behind === at ? at : behindHalf(bytes, behind);
}

/** As it is, or as `\n` and `\r`: no other is in a row. */
function behindHalf(bytes: Uint8Array, at: number): number {
  if (isLineBreak(bytes[at]!)) return at + 1;
  const next = bytes[at + 1];
  return bytes[at] === BACKSLASH && (next === 0x6e || next === 0x72) ? at + 2 : at;
}
