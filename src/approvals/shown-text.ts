import { sha256Hex } from "../base/digest.ts";

/**
 * What does not show, or shows as something else: control and format characters (bidi overrides, zero-width ones, tags),
 * line and paragraph separators, what fonts leave out (fillers, variation selectors), private and unassigned code
 * points, lone surrogates, and every space but the ordinary one. `⟨` too, so that nothing a call says looks as if it
 * had been made visible here; and from the fifth on, marks that pile up over one letter.
 */
const UNSEEN =
  /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u27E8\u2800]|(?! )\p{Zs}|(?<=\p{M}{4})\p{M}/gu;

const TOKENS = /vk[tambeso]_[0-9A-Za-z]{6,}/g;

/** `text` with everything that could deceive its reader as `⟨U+202E⟩`. Line feeds stay where `keepLines`. Linear. */
export function visible(text: string, keepLines = false): string {
  return text
    .replace(TOKENS, "[token]")
    .replace(UNSEEN, (character) => (keepLines && character === "\n" ? character : named(character)));
}

function named(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}

/** A text as it is shown. */
export interface ShownText {
  readonly value: string;
  /** Where it is longer than is shown: how long it is in bytes of UTF-8, and their SHA-256. */
  readonly cut: { readonly bytes: number; readonly sha256: string } | null;
}

/** At most so many characters of a text, made visible. */
export function shownText(text: string, atMost: number, keepLines = false): ShownText {
  const most = Math.floor(atMost);
  if (text.length <= most) return { value: visible(text, keepLines), cut: null };
  // Never through the middle of a surrogate pair: half of one would look like something odd that was sent.
  const end = /[\uD800-\uDBFF]/.test(text[most - 1] ?? "") ? most - 1 : most;
  return {
    value: visible(text.slice(0, end), keepLines),
    cut: { bytes: Buffer.byteLength(text), sha256: sha256Hex(text) },
  };
}

const SCRIPTS = [
  ["Latin", /\p{Script=Latin}/u],
  ["Cyrillic", /\p{Script=Cyrillic}/u],
  ["Greek", /\p{Script=Greek}/u],
  ["Armenian", /\p{Script=Armenian}/u],
  ["Cherokee", /\p{Script=Cherokee}/u],
] as const;

/** The scripts of a text whose letters look alike; fewer than two: there is nothing to be taken for another. */
export function mixedScripts(text: string): readonly string[] {
  const found = SCRIPTS.filter(([, letters]) => letters.test(text)).map(([script]) => script);
  return found.length > 1 ? found : [];
}
