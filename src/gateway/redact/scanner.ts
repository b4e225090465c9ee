import type { Form } from "./forms.ts";
import { KnuthMorrisPratt } from "./linear.ts";
import { addSpan } from "./spans.ts";
import { BASE64, FOLD, unfold } from "./fold.ts";

const BLOCK_BITS = 7;
const BLOCK_MASK = (1 << BLOCK_BITS) - 1;
/** Longer windows skip further but are found in more places; beyond this nothing is gained. */
const MAX_WINDOW = 32;
/** Comparisons allowed per byte scanned before the search continues in guaranteed linear time. */
const PATIENCE = 4;
const HEADSTART = 1024;

/**
 * Wu and Manber's multi-pattern search ("A fast algorithm for multi-pattern searching", 1994) with blocks of two
 * bytes: it looks at about one byte in `window`. Its worst case is a text made of almost-matches; what it spends on
 * comparing is counted, and past a constant per byte the rest is searched pattern by pattern in linear time.
 */
export class Scanner {
  /** Bytes compared so far: tests hold it to be linear in the bytes scanned. */
  steps = 0;
  /** The length of the shortest form. Nothing shorter can hold one. */
  readonly shortest: number;
  readonly #forms: readonly Form[];
  readonly #window: number;
  readonly #shift: Uint8Array;
  readonly #candidates = new Map<number, Form[]>();
  readonly #linear = new Map<Form, KnuthMorrisPratt>();

  constructor(forms: readonly Form[]) {
    this.#forms = forms;
    this.shortest = forms.reduce((least, form) => Math.min(least, form.bytes.length), Infinity);
    this.#window = Math.min(this.shortest, MAX_WINDOW);
    this.#shift = new Uint8Array(1 << (2 * BLOCK_BITS)).fill(this.#window - 1);
    for (const form of forms) this.#learn(form);
  }

  #learn(form: Form): void {
    const last = this.#window - 2;
    for (let i = 0; i <= last; i++) {
      for (const a of unfold(form.bytes[i]!)) {
        for (const b of unfold(form.bytes[i + 1]!)) {
          const block = ((a & BLOCK_MASK) << BLOCK_BITS) | (b & BLOCK_MASK);
          this.#shift[block] = Math.min(this.#shift[block]!, last - i);
          if (i !== last) continue;
          const candidates = this.#candidates.get(block) ?? [];
          if (!candidates.includes(form)) candidates.push(form);
          this.#candidates.set(block, candidates);
        }
      }
    }
  }

  /** Adds the span of every form in `bytes[from, to)` to `spans`. */
  scan(bytes: Uint8Array, from: number, to: number, spans: number[]): void {
    const shift = this.#shift;
    const window = this.#window;
    const limit = this.steps + HEADSTART + PATIENCE * (to - from);
    let at = from + window - 1;
    while (at < to) {
      const block = ((bytes[at - 1]! & BLOCK_MASK) << BLOCK_BITS) | (bytes[at]! & BLOCK_MASK);
      const skip = shift[block]!;
      if (skip !== 0) {
        at += skip;
        continue;
      }
      const start = at - window + 1;
      if (this.steps > limit) {
        this.#scanLinear(bytes, start, to, from, spans);
        return;
      }
      for (const form of this.#candidates.get(block)!) {
        if (this.#matches(form, bytes, start, to)) this.#hit(form, bytes, start, from, to, spans);
      }
      at += 1;
    }
  }

  #matches(form: Form, bytes: Uint8Array, start: number, to: number): boolean {
    const pattern = form.bytes;
    if (start + pattern.length > to) return false;
    let i = 0;
    while (i < pattern.length && FOLD[bytes[start + i]!] === pattern[i]) i++;
    this.steps += i + 1;
    return i === pattern.length;
  }

  /** A base64 character at the edge holds bits of the secret and of its neighbour: it goes too. */
  #hit(form: Form, bytes: Uint8Array, start: number, from: number, to: number, spans: number[]): void {
    let end = start + form.bytes.length;
    if (form.sharesFirst && start > from && BASE64[bytes[start - 1]!] === 1) start -= 1;
    if (form.sharesLast && end < to && BASE64[bytes[end]!] === 1) end += 1;
    addSpan(spans, start, end);
  }

  #scanLinear(bytes: Uint8Array, start: number, to: number, from: number, spans: number[]): void {
    for (const form of this.#forms) {
      let search = this.#linear.get(form);
      if (!search) this.#linear.set(form, (search = new KnuthMorrisPratt(form.bytes)));
      this.steps += search.each(bytes, start, to, (at) => this.#hit(form, bytes, at, from, to, spans));
    }
  }
}
