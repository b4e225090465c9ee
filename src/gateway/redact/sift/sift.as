// AssemblyScript, built to sift.wasm by `node local/sift.ts`. What it does and how it is called: ../sift.ts.

/** Where things lie in memory; ../sift.ts has the same. */
const BASE64: usize = 0x0000;
const AFTER_BACKSLASH: usize = 0x0100;
const WORTH_BYTES: usize = 0x0200;
const WORTH_UNITS: usize = 0x0300;
const HEX: usize = 0x0400;
const ALPHANUMERIC: usize = 0x0600;
/** By lead byte: which part of MAYBE is about it. */
const PARTS: usize = 0x0700;
const MAYBE: usize = 0x0800;
/** By the byte behind the break of a wrapped line: in which rows it may be, of these kinds, and LEADING for a lead. */
const BEHIND: usize = 0x0c00;
/** The part of MAYBE that is about it. */
const BACKSLASH: usize = 3;
const HEADS: usize = 0x10000;
const TEXT: usize = 0x20040;
const EVENTS: usize = 0x40000;
/** Rows are joined where events were: those are taken out before. */
const ROW: usize = 0x40040;
const JOINED: usize = 0x60000;

const LEAD: i32 = 0;
const RUN: i32 = 1;
const DASHES: i32 = 2;
const NAME: i32 = 3;
const WRAP: i32 = 4;
const WRAPS: i32 = 5;

const RUNS: i32 = 1;
const ALL_RUNS: i32 = 2;
const NAMES: i32 = 4;

const SHORTEST_RUN: i32 = 20;
/** Of an entity, with the `&` before it and the semicolon behind. */
const LONGEST_NAME: i32 = 10;
/** Breaks as they are, and breaks that are escaped. */
const PLAIN: i32 = 1;
const ESCAPED: i32 = 2;
const LEADING: i32 = 4;
const LONGEST_ROW: i32 = 0x8000;
const SHORTEST_LINE: i32 = 40;

/** Where the run begins that the text so far ends with: behind it, where there is none. */
export let openRun: i32 = 0;
/** Where two dashes stood last. */
export let lastDashes: i32 = i32.MIN_VALUE / 2;

let out: usize = EVENTS;
/** How many breaks the row has that was begun; where the first begins, and what is behind the last. */
let breaks: i32 = 0;
let rowKind: i32 = 0;
let firstBreak: i32 = 0;
let behindBreaks: i32 = 0;

/**
 * Notes, of `length` bytes at TEXT, what `wanted` asks for, as numbers from EVENTS on; answers how many. The text ends
 * at `end`, which may be behind the window. `reach`: how near behind two dashes a run counts however it begins.
 */
export function sift(length: i32, end: i32, wanted: i32, reach: i32): i32 {
  out = EVENTS;
  behindBreaks = 0;
  rowKind = 0;
  const isAny = (wanted & ALL_RUNS) !== 0;
  for (let at: i32 = 0; at < length; at += 64) {
    const place = TEXT + at;
    const a = kindsAt(place);
    const b = kindsAt(place + 16);
    const c = kindsAt(place + 32);
    const d = kindsAt(place + 48);
    const leads = bits(isLead(a), isLead(b), isLead(c), isLead(d));
    if (wanted !== 0) {
      const rare = v128.or(
        v128.or(rareAt(place), rareAt(place + 16)),
        v128.or(rareAt(place + 32), rareAt(place + 48)),
      );
      if (v128.any_true(rare)) notePairs(at, (wanted & NAMES) !== 0);
      if ((wanted & RUNS) !== 0) {
        const others = bits(isNone(a), isNone(b), isNone(c), isNone(d));
        noteRuns(at, ~(others | leads), isAny, reach);
      }
    }
    if (leads !== 0) noteLeads(at, leads);
  }
  endRow();
  if ((wanted & RUNS) !== 0 && end <= length) endRun(end, isAny, reach);
  return <i32>((out - EVENTS) >> 2);
}

/**
 * By the upper and the lower half of each byte: five kinds of token characters, and from 0x20 on three of what begins an
 * escape or a wrap.
 */
// @ts-ignore: decorator
@inline
function kindsAt(place: usize): v128 {
  const bytes = v128.load(place);
  const low = i8x16(5, 7, 7, 7, 7, 39, 39, 7, 7, 7, -122, 2, 66, -110, 18, 10);
  const high = i8x16(-128, 0, 48, 1, 2, 76, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0);
  return v128.and(
    i8x16.relaxed_swizzle(low, v128.and(bytes, i8x16.splat(0x0f))),
    i8x16.relaxed_swizzle(high, v128.and(i16x8.shr_u(bytes, 4), i8x16.splat(0x0f))),
  );
}

// @ts-ignore: decorator
@inline
function isLead(kinds: v128): v128 {
  return i8x16.eq(i8x16.min_u(kinds, i8x16.splat(0x20)), i8x16.splat(0x20));
}

// @ts-ignore: decorator
@inline
function isNone(kinds: v128): v128 {
  return i8x16.eq(kinds, i8x16.splat(0));
}

/** Where `--` or `_t` stands. */
// @ts-ignore: decorator
@inline
function rareAt(place: usize): v128 {
  return v128.or(pairsAt(place, 0x2d, 0x2d), pairsAt(place, 0x5f, 0x74));
}

// @ts-ignore: decorator
@inline
function bits(a: v128, b: v128, c: v128, d: v128): u64 {
  return (
    <u64>i8x16.bitmask(a) |
    (<u64>i8x16.bitmask(b) << 16) |
    (<u64>i8x16.bitmask(c) << 32) |
    (<u64>i8x16.bitmask(d) << 48)
  );
}

// @ts-ignore: decorator
@inline
function note(place: i32, kind: i32): void {
  store<i32>(out, (place << 3) | kind);
  out += 4;
}

// @ts-ignore: decorator
@inline
function byteAt(place: i32): u32 {
  return load<u8>(TEXT + place);
}

// @ts-ignore: decorator
@inline
function isIn(table: usize, byte: u32): bool {
  return load<u8>(table + byte) === 1;
}

/** Each `_t` of 64 bytes, and the first and the last `--`. */
function notePairs(at: i32, names: bool): void {
  const place = TEXT + at;
  const dashes = bits(
    pairsAt(place, 0x2d, 0x2d),
    pairsAt(place + 16, 0x2d, 0x2d),
    pairsAt(place + 32, 0x2d, 0x2d),
    pairsAt(place + 48, 0x2d, 0x2d),
  );
  if (dashes !== 0) {
    note(at + <i32>ctz(dashes), DASHES);
    lastDashes = at + 63 - <i32>clz(dashes);
    note(lastDashes, DASHES);
  }
  if (!names) return;
  let bars = bits(
    pairsAt(place, 0x5f, 0x74),
    pairsAt(place + 16, 0x5f, 0x74),
    pairsAt(place + 32, 0x5f, 0x74),
    pairsAt(place + 48, 0x5f, 0x74),
  );
  while (bars !== 0) {
    note(at + <i32>ctz(bars), NAME);
    bars &= bars - 1;
  }
}

// @ts-ignore: decorator
@inline
function pairsAt(place: usize, first: i8, second: i8): v128 {
  return v128.and(
    i8x16.eq(v128.load(place), i8x16.splat(first)),
    i8x16.eq(v128.load(place, 1), i8x16.splat(second)),
  );
}

function noteLeads(at: i32, leads: u64): void {
  const block = TEXT + at;
  // JSON in JSON is full of `\"`.
  if (load<u16>(block + <usize>ctz(leads)) === 0x225c && load<u8>(MAYBE + (BACKSLASH << 8) + 0x22) === 0) {
    leads &= ~bits(
      pairsAt(block, 0x5c, 0x22),
      pairsAt(block + 16, 0x5c, 0x22),
      pairsAt(block + 32, 0x5c, 0x22),
      pairsAt(block + 48, 0x5c, 0x22),
    );
    if (leads === 0) return;
  }
  do {
    const place = at + <i32>ctz(leads);
    leads &= leads - 1;
    // The second half of a break.
    if (place < behindBreaks) continue;
    // Rows of `\u` are what texts in other alphabets are made of.
    if (load<u16>(TEXT + place) === 0x755c) {
      if (!isQuietUnit(place)) noteLead(place);
      continue;
    }
    // One look tells of nearly all others: at the byte before a break of lines, or behind any other lead.
    const part = <i32>load<u8>(PARTS + byteAt(place));
    const neighbour = byteAt(select(place - 1, place + 1, part === 0));
    if (load<u8>(MAYBE + (part << 8) + neighbour) === 0) continue;
    if (isQuiet(place)) continue;
    const behind = behindBreak(place);
    const rows = behind > place && isBehindLine(place) ? <i32>load<u8>(BEHIND + byteAt(behind)) : LEADING;
    if (rows === LEADING) noteLead(place);
    else {
      addBreak(place, behind, rows & kindOf(place, behind));
      const count = behind - at;
      leads = count < 64 ? leads & (u64.MAX_VALUE << count) : 0;
    }
  } while (leads !== 0);
}

// @ts-ignore: decorator
@inline
function noteLead(at: i32): void {
  endRow();
  note(at, LEAD);
}

/** PLAIN or ESCAPED; 0 of a break that is half of each. */
// @ts-ignore: decorator
@inline
function kindOf(at: i32, behind: i32): i32 {
  const isPlain = byteAt(at) < 0x20;
  return isPlain === byteAt(behind - 1) < 0x20 ? (isPlain ? PLAIN : ESCAPED) : 0;
}

/** Adds to the row of this kind; 0 stands alone. */
function addBreak(at: i32, behind: i32, kind: i32): void {
  if (kind === 0 || kind !== rowKind || behind - firstBreak > LONGEST_ROW) {
    endRow();
    firstBreak = at;
    rowKind = kind;
  }
  breaks++;
  behindBreaks = behind;
}

/** Notes the row that was begun, if one was. */
// @ts-ignore: decorator
@inline
function endRow(): void {
  if (breaks === 0) return;
  note(behindBreaks, breaks === 1 ? WRAP : WRAPS);
  store<i32>(out, firstBreak);
  out += 4;
  breaks = 0;
  rowKind = 0;
}

function noteRuns(at: i32, tokens: u64, isAny: bool, reach: i32): void {
  let windows = tokens & (tokens >> 1);
  windows &= windows >> 2;
  windows &= windows >> 4;
  windows &= windows >> 8;
  windows &= windows >> 4;
  const before = at - openRun;
  const leading = <i32>ctz(~tokens);
  if (windows !== 0 || before + leading >= SHORTEST_RUN) {
    if (leading === 64) return;
    endRun(at + leading, isAny, reach);
    // What belonged to it is none any more.
    windows &= u64.MAX_VALUE << leading;
    while (windows !== 0) {
      const first = <i32>ctz(windows);
      const behind = first + <i32>ctz(~(tokens >> first));
      if (behind >= 64) break;
      openRun = at + first;
      endRun(at + behind, isAny, reach);
      windows &= u64.MAX_VALUE << behind;
    }
  } else if (leading === 64) return;
  openRun = at + 64 - <i32>clz(~tokens);
}

/** Notes the open run that ends before `end`, where something may begin with it. */
function endRun(end: i32, isAny: bool, reach: i32): void {
  if (end - openRun < SHORTEST_RUN) return;
  if (!isAny && openRun >= 0 && openRun - lastDashes > reach) {
    const before = byteAt(openRun - 1);
    const head = load<u16>(TEXT + openRun);
    if (before !== 0x5c && before !== 0x25 && load<u8>(HEADS + head) === 0) return;
  }
  note(end, RUN);
  store<i32>(out, openRun);
  out += 4;
}

/** Joins the wrapped lines of the row at ROW, which ends with a break as it begins with one; answers how long it is. */
export function join(length: i32): i32 {
  const first = <i32>(ROW - TEXT);
  const end = first + length;
  let line = behindBreak(first);
  let to = JOINED;
  // Of the line before, and the break behind it.
  let width = 0;
  let lead: u32 = 0;
  let size = 0;
  while (line < end) {
    const next = line + width;
    // Lines are mostly as long as the one before, and need not be searched for their end.
    if (
      width > 0 &&
      next + size <= end &&
      load<u32>(TEXT + next) << (32 - 8 * size) === lead &&
      behindHalf(next + size) === next + size &&
      joinLine(line, to, width)
    ) {
      line = next + size;
      to += width;
      continue;
    }
    const at = lineEnd(line, to);
    to += at - line;
    const behind = behindBreak(at);
    if (behind > at && isBehindLine(at)) {
      // Behind a mark that was no break, a part of a line is too short to be one.
      width = at - line < SHORTEST_LINE ? 0 : at - line;
      size = behind - at;
      lead = load<u32>(TEXT + at) << (32 - 8 * size);
      line = behind;
    } else {
      store<u8>(to++, <u8>byteAt(at));
      line = at + 1;
    }
  }
  return <i32>(to - JOINED);
}

/** Copies a line of this width; false where it is not all base64. */
// @ts-ignore: decorator
@inline
function joinLine(at: i32, to: usize, width: i32): bool {
  const last = width - 16;
  let kinds = copyLine(at + last, to + last);
  for (let i = 0; i < last; i += 16) kinds = i8x16.min_u(kinds, copyLine(at + i, to + i));
  return i8x16.all_true(kinds);
}

// @ts-ignore: decorator
@inline
function copyLine(at: i32, to: usize): v128 {
  v128.store(to, v128.load(TEXT + at));
  return base64At(TEXT + at);
}

/** Where a break may begin from `at` on; copies what is before it. */
// @ts-ignore: decorator
@inline
function lineEnd(at: i32, to: usize): i32 {
  let marks = copyAt(at, to);
  while (marks === 0) {
    at += 16;
    to += 16;
    marks = copyAt(at, to);
  }
  return at + ctz(marks);
}

/** Copies 16 bytes; tells of those with which a break may begin. */
// @ts-ignore: decorator
@inline
function copyAt(at: i32, to: usize): i32 {
  const bytes = v128.load(TEXT + at);
  v128.store(to, bytes);
  const breaks = v128.or(i8x16.eq(bytes, i8x16.splat(0x0a)), i8x16.eq(bytes, i8x16.splat(0x0d)));
  return i8x16.bitmask(v128.or(i8x16.eq(bytes, i8x16.splat(0x5c)), breaks));
}

/** Behind the break of lines that begins at `at`, where two are one; `at`, where none does. */
// @ts-ignore: decorator
@inline
function behindBreak(at: i32): i32 {
  const behind = behindHalf(at);
  return behind === at ? at : behindHalf(behind);
}

/** The same of one: as it is, or as `\n` and `\r`. */
// @ts-ignore: decorator
@inline
function behindHalf(at: i32): i32 {
  const byte = byteAt(at);
  if (byte === 0x0a || byte === 0x0d) return at + 1;
  if (byte !== 0x5c) return at;
  const next = byteAt(at + 1);
  return next === 0x6e || next === 0x72 ? at + 2 : at;
}

/** Whether a line ends before `at` that is base64 as far as `isBehindLine` in ../notes.ts asks for: 40 characters. */
function isBehindLine(at: i32): bool {
  const place = TEXT + at;
  const kinds = i8x16.min_u(base64At(place - 16), base64At(place - 32));
  return i8x16.all_true(i8x16.min_u(kinds, base64At(place - 40)));
}

/** Not 0 for the characters of both alphabets. */
// @ts-ignore: decorator
@inline
function base64At(place: usize): v128 {
  const bytes = v128.load(place);
  const low = i8x16(5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 18, 2, 18, 2, 26);
  const high = i8x16(0, 0, 16, 1, 2, 12, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0);
  return v128.and(
    i8x16.relaxed_swizzle(low, v128.and(bytes, i8x16.splat(0x0f))),
    i8x16.relaxed_swizzle(high, v128.and(i16x8.shr_u(bytes, 4), i8x16.splat(0x0f))),
  );
}

/** Of what MAYBE lets pass: a few bytes more tell that it is no escape, or none worth undoing. */
function isQuiet(at: i32): bool {
  const pair = <u32>load<u16>(TEXT + at);
  const lead = pair & 0xff;
  const next = pair >> 8;
  if (lead === 0x26) return next !== 0x23 && !isNamed(at);
  if (lead !== 0x5c) return false;
  const single = <i32>load<i8>(AFTER_BACKSLASH + next);
  if ((single !== 0x0a && single !== 0x0d) || isIn(WORTH_BYTES, single)) return false;
  return !isBehindBase64(at);
}

// @ts-ignore: decorator
@inline
function isBehindBase64(at: i32): bool {
  return isIn(BASE64, byteAt(at - 1));
}

/** Whether an `&` is followed by what may be a name, and a semicolon. */
function isNamed(at: i32): bool {
  for (let i = at + 1; i < at + LONGEST_NAME; i++) {
    const byte = byteAt(i);
    if (byte === 0x3b) return true;
    if (!isIn(ALPHANUMERIC, byte)) return false;
  }
  return false;
}

/** The same of a backslash and a `u`. */
// @ts-ignore: decorator
@inline
function isQuietUnit(at: i32): bool {
  const above = (<i32>load<i8>(HEX + byteAt(at + 2)) << 4) | <i32>load<i8>(HEX + byteAt(at + 3));
  // Whether the other two are digits is not looked at: if not, it is no escape.
  if (above > 0) return !isIn(WORTH_UNITS, above);
  if (above < 0) return false;
  const unit = (<i32>load<i8>(HEX + byteAt(at + 4)) << 4) | <i32>load<i8>(HEX + byteAt(at + 5));
  if (unit < 0x20) return false;
  return !isIn(WORTH_BYTES, unit < 0x80 ? unit : 0xc0 | (unit >> 6));
}
