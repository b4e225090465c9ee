import { FOLD } from "./fold.ts";
import type { Form } from "./forms.ts";
import { NOTE, ROW } from "./notes.ts";
import { LEADS } from "./pairs.ts";

/** More than an escape is long. */
const REACH = 31;
/** What may follow an escape of `%`, `&` or a backslash to be an escape again. */
const LONGEST_REST = 12;

/**
 * Tells which escapes may be none: in `%41cd\/` the `%` may be a text's own and `41cd/` how a secret begins, and in
 * `cd\/4&lt;` the `&` how it ends. Undone together with the others, such an escape would take a part of the secret
 * along. A decoder undoes the escapes of one family, so that those of one lead are left as they are at a time.
 */
export class Straddles {
  /** The forms by their first byte; none where no form begins so. */
  readonly #beginning: readonly (readonly Uint8Array[])[];
  /** The last bytes of forms, from the byte before a lead on. */
  readonly #endings: readonly Uint8Array[];

  constructor(forms: readonly Form[]) {
    const beginning = Array.from({ length: 256 }, (): Uint8Array[] => []);
    const endings: Uint8Array[] = [];
    for (const { bytes } of forms) {
      beginning[bytes[0]!]!.push(bytes);
      for (let at = Math.max(1, bytes.length - REACH); at < bytes.length; at++)
        if (LEADS[bytes[at]!] === 1) endings.push(bytes.subarray(at - 1));
    }
    this.#beginning = beginning;
    this.#endings = endings;
  }

  /** The sets of leads whose escapes it is worth leaving as they are, those of `known` among them; mostly none. */
  leads(
    bytes: Uint8Array,
    to: number,
    notes: readonly number[],
    known: readonly number[],
  ): readonly (readonly number[])[] {
    const leads: number[] = [];
    const areEndings = this.#endings.length > 0;
    for (let i = 0; i < notes.length; i += NOTE) {
      // A break of one byte holds nothing that a form could begin with.
      if (!areEndings && notes[i + 1]! <= notes[i]! + 1) continue;
      const lead = bytes[notes[i]!]!;
      if (!leads.includes(lead) && !known.includes(lead) && this.#mayBeNone(bytes, to, notes, i))
        leads.push(lead);
    }
    const sets = leads.map((lead) => [...known, lead]);
    // One where it begins, another where it ends.
    return leads.length > 1 ? [...sets, [...known, ...leads]] : sets;
  }

  /** `notes` without those that may reach into a form and begin with one of `leads`. */
  without(bytes: Uint8Array, to: number, notes: readonly number[], leads: readonly number[]): number[] {
    const kept: number[] = [];
    for (let i = 0; i < notes.length; i += NOTE) {
      if (!leads.includes(bytes[notes[i]!]!) || !this.#mayBeNone(bytes, to, notes, i))
        kept.push(notes[i]!, notes[i + 1]!, notes[i + 2]!);
    }
    return kept;
  }

  #mayBeNone(bytes: Uint8Array, to: number, notes: readonly number[], at: number): boolean {
    // A break of which this could be said is in no row.
    if (notes[at + 2] === ROW) return false;
    const start = notes[at]!;
    const end = notes[at + 1]!;
    for (let i = start + 1; i < end; i++)
      for (const form of this.#beginning[FOLD[bytes[i]!]!]!) if (begins(form, bytes, i, end, to)) return true;
    if (this.#endings.length === 0) return false;
    // The escape before may be one of an escape: `%2578` has two more bytes behind `%25`.
    const isBehindEscape = at > 0 && start - notes[at + 1 - NOTE]! <= LONGEST_REST;
    return this.#endings.some((ending) => ends(ending, bytes, start, end, isBehindEscape));
  }
}

/**
 * Whether the form begins with what stands from `at` to `end`, and goes on as the text does there: with one byte more,
 * or with what an escape may stand for. (More would let the time tell how far a guess of the secret is right.)
 */
function begins(form: Uint8Array, bytes: Uint8Array, at: number, end: number, to: number): boolean {
  const length = end - at;
  if (length >= form.length || end >= to) return false;
  for (let i = 1; i < length; i++) if (FOLD[bytes[at + i]!] !== form[i]) return false;
  return LEADS[bytes[end]!] === 1 || FOLD[bytes[end]!] === form[length];
}

/** Whether the escape begins as `ending` goes, and before it stands what does there. */
function ends(
  ending: Uint8Array,
  bytes: Uint8Array,
  start: number,
  end: number,
  isBehindEscape: boolean,
): boolean {
  if (ending.length > end - start || start === 0) return false;
  for (let i = 1; i < ending.length; i++) if (FOLD[bytes[start + i - 1]!] !== ending[i]) return false;
  return isBehindEscape || FOLD[bytes[start - 1]!] === ending[0];
}
