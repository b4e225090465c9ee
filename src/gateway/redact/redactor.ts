import { EscapeReader } from "./escape-reader.ts";
import { formsOf } from "./forms.ts";
import type { Flow } from "./flow.ts";
import { HoldBack, type ReleaseMode } from "./framing.ts";
import { decisionDistance, type Edges, Lookout, type Lookouts, type Open, WHOLE } from "./lookout.ts";
import { maskUrlTokens } from "./minted.ts";
import { arePlainBreaks, areWraps, isLineBreak, NOTE, withoutWraps } from "./notes.ts";
import { TOKEN } from "./pairs.ts";
import { pumpMasked } from "./pump.ts";
import { Scanner } from "./scanner.ts";
import { SHORTEST_SHAPE } from "./shapes.ts";
import { addSpan, maskSpans } from "./spans.ts";
import { Straddles } from "./straddles.ts";
import { Origins, unescape } from "./unescape.ts";
import { type Worth, worthUndoing } from "./worth.ts";

export { releaseMode } from "./framing.ts";

/** Masks every form of some secret values by `*` of the same length, so that all around them stays as it was. */
export interface Redactor {
  /** A header value (or any short text) with every form masked. Returns the same string if nothing was found. */
  text(value: string): string;
  /** A whole small body; the same array if nothing was found, else a masked copy of the same length. */
  whole(body: Uint8Array): Uint8Array;
  /**
   * Copies source to sink, masked, same length, in bounded memory. `onBytes` is told the bytes passed on. Resolves
   * at the end; on an error, and when `flow` says so, both sides are aborted and it rejects.
   */
  pump(
    source: ReadableStream<Uint8Array>,
    sink: WritableStream<Uint8Array>,
    mode: ReleaseMode,
    onBytes?: (count: number) => void,
    flow?: Flow,
  ): Promise<void>;
}

/** JSON in JSON in a URL is three; one more for a secret that itself looks escaped. */
const LAYERS = 4;
/** Bytes that one byte of a secret may take in a stream: all characters escaped, then all of those again, is 18. */
const WIDEST = 24;
/** More than an escape is long: what a search that begins in the middle of one may read wrongly. */
const SLACK = 64;
const FURTHEST = 1024 * 1024;
const NO_LEADS: readonly number[] = [];
const LARGEST_SCRATCH = 1024 * 1024;

/** What a redactor looks for beside the values it is given: nothing. */
const VALUES_ONLY: Lookouts = { shapes: false, entropy: false, minted: false };
/**
 * A redactor of `values` (secrets and what their kinds render from them, as bytes, of at least 8 bytes each) and of
 * what `lookouts` name.
 */
export function createRedactor(values: readonly Uint8Array[], lookouts: Lookouts = VALUES_ONLY): Redactor {
  return new FormRedactor(values, lookouts);
}

/** Exported for the tests of its work; the gateway uses `createRedactor`. */
export class FormRedactor implements Redactor {
  readonly scanner: Scanner;
  /** The length in bytes of the longest form that a stream by distance is searched for. */
  readonly distance: number;
  readonly #worth: Worth;
  readonly #straddles: Straddles;
  /** How far a form can extend from an escape without another one. */
  readonly #reach: number;
  readonly #multiline: boolean;
  /** No form holds a break of lines. */
  readonly #isOfOneLine: boolean;
  /** Undefined: nothing but the values is looked for. */
  readonly #lookouts: Lookouts | undefined;
  /** The same for copies, in which quotes that end a string cannot be told from others. */
  readonly #innerLookouts: Lookouts | undefined;

  constructor(values: readonly Uint8Array[], lookouts: Lookouts = VALUES_ONLY) {
    const forms = formsOf(values);
    this.scanner = new Scanner(forms);
    this.#worth = worthUndoing(forms);
    this.#isOfOneLine = !forms.some((form) => form.bytes.some(isLineBreak));
    this.#straddles = new Straddles(forms);
    const { shapes, entropy, minted } = lookouts;
    this.#lookouts = shapes || entropy || minted ? lookouts : undefined;
    this.#innerLookouts = shapes || entropy ? { shapes, entropy, minted: false } : undefined;
    const furthest = decisionDistance(lookouts);
    this.#reach = forms.reduce((most, form) => Math.max(most, form.bytes.length), furthest) + SLACK;
    this.#multiline = values.some((value) => /[\r\n]/.test(Buffer.from(value).toString("latin1").trim()));
    const longest = values.reduce((most, value) => Math.max(most, value.length), 0);
    this.distance = Math.max(furthest, Math.min(FURTHEST, WIDEST * longest + SLACK));
  }

  text(text: string): string {
    const isMinting = this.#lookouts?.minted === true && text.includes("_token");
    if (text.length < this.scanner.shortest && !isMinting && !(this.#lookouts && hasLongRun(text)))
      return text;
    const value = isMinting ? maskUrlTokens(text) : text;
    const bytes = Buffer.from(value, "utf8");
    const masked = this.whole(bytes);
    if (masked !== bytes) return new TextDecoder().decode(masked);
    // Characters above ASCII are how a header's bytes are shown: one character for each byte.
    if (bytes.length === value.length || /[\u0100-\uffff]/.test(value)) return value;
    const latin1 = Buffer.from(value, "latin1");
    const maskedLatin1 = this.whole(latin1);
    return maskedLatin1 === latin1 ? value : Buffer.from(maskedLatin1).toString("latin1");
  }

  whole(body: Uint8Array): Uint8Array {
    const spans: number[] = [];
    this.#search(body, body.length, spans, WHOLE, LAYERS);
    if (spans.length === 0) return body;
    const masked = new Uint8Array(body);
    maskSpans(masked, spans);
    return masked;
  }

  pump(
    source: ReadableStream<Uint8Array>,
    sink: WritableStream<Uint8Array>,
    mode: ReleaseMode,
    onBytes: (count: number) => void = () => {},
    flow?: Flow,
  ): Promise<void> {
    // A value of several lines would be cut by frames that end with a line.
    const holdBack = new HoldBack(this.#multiline ? "distance" : mode, this.distance);
    return pumpMasked(
      source,
      sink,
      holdBack,
      (bytes, length, spans, edges) => this.#search(bytes, length, spans, edges, LAYERS),
      onBytes,
      flow,
    );
  }

  /**
   * Searches the text, then copies of its escaped parts with one layer undone, and so on. Escapes close enough to
   * share a form are undone together; what is out of reach of any is not copied. Without `edges` only the values are
   * searched for. Escapes that begin with one of the bytes `literal` and may reach into a form are left as they are;
   * that is tried with more of them where there are such. Answers what goes on behind the end.
   */
  #search(
    bytes: Uint8Array,
    length: number,
    spans: number[],
    edges: Edges | undefined,
    layers: number,
    literal: readonly number[] = NO_LEADS,
  ): Open | undefined {
    const lookouts = edges && (layers === LAYERS ? this.#lookouts : this.#innerLookouts);
    if (length < this.scanner.shortest && lookouts === undefined) return undefined;
    if (layers === 0 && lookouts === undefined) {
      this.scanner.scan(bytes, 0, length, spans);
      return undefined;
    }
    let scanned = 0;
    const lookout = lookouts && new Lookout(lookouts, bytes, length, spans, edges);
    const reader = new EscapeReader(bytes, length, this.#worth, lookout);
    const reach = this.#reach;
    for (let notes = reader.cluster(2 * reach); notes; notes = reader.cluster(2 * reach)) {
      if (layers === 0) continue;
      for (const leads of this.#straddles.leads(bytes, length, notes, literal))
        this.#searchWithout(bytes, length, notes, spans, layers, leads);
      if (literal.length > 0) {
        this.#searchWithout(bytes, length, notes, spans, layers, literal);
        continue;
      }
      const from = Math.max(0, notes[0]! - reach);
      const to = Math.min(length, notes.at(1 - NOTE)! + reach);
      const inner = this.#innerLookouts &&
        edges && {
          seen: from === 0 ? edges.seen : 1,
          more: to < length || edges.more,
          open: undefined,
        };
      const escapes = inner && withoutWraps(notes);
      const left = reader.shortLineEnd < from && areWraps(bytes, notes) ? 0 : layers - 1;
      if (escapes !== undefined && escapes !== notes)
        this.#searchCopy(bytes, from, to, notes, spans, undefined, left);
      if (this.#isOfOneLine && arePlainBreaks(bytes, notes)) {
        // What lies between two breaks stands in the joined lines as well.
        this.scanner.scan(bytes, scanned, notes[0]!, spans);
        scanned = notes.at(1 - NOTE)!;
      }
      if (escapes?.length === 0) continue;
      const open = this.#searchCopy(bytes, from, to, escapes ?? notes, spans, inner, left);
      if (open !== undefined) lookout?.resume(open, to);
    }
    this.scanner.scan(bytes, scanned, length, spans);
    return lookout?.open;
  }

  #searchWithout(
    bytes: Uint8Array,
    length: number,
    notes: readonly number[],
    spans: number[],
    layers: number,
    literal: readonly number[],
  ): void {
    const kept = this.#straddles.without(bytes, length, notes, literal);
    if (kept.length === 0) return;
    const from = Math.max(0, kept[0]! - this.#reach);
    const to = Math.min(length, kept.at(1 - NOTE)! + this.#reach);
    this.#searchCopy(bytes, from, to, kept, spans, undefined, layers - 1, literal);
  }

  #searchCopy(
    bytes: Uint8Array,
    from: number,
    to: number,
    notes: readonly number[],
    spans: number[],
    edges: Edges | undefined,
    layers: number,
    literal: readonly number[] = NO_LEADS,
  ): Open | undefined {
    const copy = unescape(bytes, from, to, notes, scratchOf(layers, to - from));
    const found: number[] = [];
    const open = this.#search(copy, copy.length, found, edges, layers, literal);
    if (found.length === 0) return open;
    const origins = new Origins(bytes, from, notes);
    for (let i = 0; i < found.length; i += 2)
      addSpan(spans, origins.startOf(found[i]!), origins.endOf(found[i + 1]! - 1));
    return open;
  }
}

/** A copy is done with when the next of its layer is made, and a search never waits: one each is enough. */
const scratch = Array.from({ length: LAYERS }, () => new Uint8Array(0));

function scratchOf(layer: number, length: number): Uint8Array<ArrayBuffer> {
  if (length > LARGEST_SCRATCH) return new Uint8Array(length);
  if (scratch[layer]!.length < length) scratch[layer] = new Uint8Array(Math.min(LARGEST_SCRATCH, 2 * length));
  return scratch[layer]!;
}

/** Whether a text holds as many token characters in a row as the shortest credential has. Looks at few of them. */
function hasLongRun(text: string): boolean {
  for (let last = SHORTEST_SHAPE - 1; last < text.length;) {
    let i = last;
    while (i > last - SHORTEST_SHAPE && TOKEN[text.charCodeAt(i) & 0xff] === 1) i--;
    if (i === last - SHORTEST_SHAPE) return true;
    last = i + SHORTEST_SHAPE;
  }
  return false;
}
