import type { CallHint, HintField } from "../connections/call-hint.ts";
import { leafText, shownField } from "./shown-fields.ts";
import type { ShownField } from "./shown-schema.ts";
import { shownText } from "./shown-text.ts";

/** The parts of a call in which hints look for what matters. */
export interface CallParts {
  readonly method: string;
  /** Below the connection's base URL. */
  readonly path: string;
  readonly query: readonly (readonly [name: string, value: string])[];
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** `json`: of `parseExactly`; `form`: pairs; null: it could not be read. */
  readonly body:
    | { readonly kind: "json"; readonly value: unknown }
    | { readonly kind: "form"; readonly pairs: readonly (readonly [name: string, value: string])[] }
    | null;
}

const MAX_IN_TITLE = 80;
const MAX_ITEMS = 20;

/** What a provider's hints make of a call; null where none fits. `share` as in `shownField`. */
export function hinted(
  hints: readonly CallHint[],
  parts: CallParts,
  share: number = 1,
): { readonly title: string; readonly picked: ShownField[] } | null {
  for (const hint of hints) {
    if (hint.method !== parts.method) continue;
    const segments = segmentsOf(hint.path, parts.path);
    if (segments !== null) return told(hint, segments, parts, share);
  }
  return null;
}

type Segments = ReadonlyMap<string, string>;

/** What stands in the places of a path's pattern; null where it is another path. */
function segmentsOf(pattern: string, path: string): Segments | null {
  const wanted = pattern.split("/");
  const given = path.split("/");
  const takesRest = wanted.at(-1)?.startsWith("{+") === true;
  if (takesRest ? given.length < wanted.length : given.length !== wanted.length) return null;
  const found = new Map<string, string>();
  for (const [index, segment] of wanted.entries()) {
    const isRest = takesRest && index === wanted.length - 1;
    const text = isRest ? given.slice(index).join("/") : (given[index] ?? "");
    const name = /^\{\+?(\w+)\}$/.exec(segment)?.[1];
    if (name === undefined ? segment !== text : text === "") return null;
    if (name !== undefined) found.set(name, decodeURIComponent(text));
  }
  return found;
}

function told({ title, fields = {} }: CallHint, segments: Segments, parts: CallParts, share: number) {
  const picked: ShownField[] = [];
  const named = new Map<string, string>();
  for (const [name, text] of segments) {
    named.set(name, text);
    picked.push(shownField(name, text, share));
  }
  for (const [name, field] of Object.entries(fields)) {
    const found = valueOf(field, segments, parts);
    if (found === null) continue;
    const text = field.money === undefined ? found : money(found, field.money, segments, parts);
    named.set(name, text);
    picked.push(shownField(name, text, share));
  }
  const short = (text: string): string => {
    const { value, cut } = shownText(text, MAX_IN_TITLE);
    return cut === null ? value : `${value}…`;
  };
  const words = title.replace(/\{(\w+)\}/g, (_all, name: string) =>
    short(named.get(name) ?? fields[name]?.missing ?? "–"),
  );
  return { title: words, picked };
}

function valueOf({ at }: Pick<HintField, "at">, segments: Segments, parts: CallParts): string | null {
  for (const place of at) {
    const values = valuesAt(place, segments, parts);
    if (values.length === 0) continue;
    const more = values.length - MAX_ITEMS;
    return values.slice(0, MAX_ITEMS).join(", ") + (more > 0 ? `, and ${more} more` : "");
  }
  return null;
}

function valuesAt(place: string, segments: Segments, parts: CallParts): readonly string[] {
  const [, where = "", name = ""] = /^(\w+)\.?(.*)$/.exec(place) ?? [];
  const named = (pairs: CallParts["query"]): readonly string[] =>
    pairs.flatMap(([key, value]) => (key === name ? [value] : []));
  switch (where) {
    case "path":
      return [...segments].flatMap(([key, value]) => (key === name ? [value] : []));
    case "query":
      return named(parts.query);
    case "header":
      return named(parts.headers);
    case "body": {
      // Servers take parameters from either, and which of two they take is theirs to say: both are told.
      const inQuery = named(parts.query);
      if (parts.body === null) return inQuery;
      const { body } = parts;
      const inBody = body.kind === "form" ? named(body.pairs) : leavesAt(body.value, stepsOf(name));
      return [...inBody, ...inQuery];
    }
    default:
      return [];
  }
}

/** `a[*].b` as `a`, `*`, `b`. */
function stepsOf(name: string): readonly string[] {
  return name.split(/[.[]/).flatMap((step) => (step === "" ? [] : [step.replace(/\]$/, "")]));
}

/** The ends below a path. What stands there and is none (a list of recipients, say) counts by all of its ends. */
function leavesAt(value: unknown, steps: readonly string[]): readonly string[] {
  const [step, ...rest] = steps;
  const text = leafText(value);
  if (step === undefined) {
    if (text !== null) return [text];
    return Object.values(value ?? {}).flatMap((child) => leavesAt(child, []));
  }
  if (text !== null) return [];
  if (step === "*") return Array.isArray(value) ? value.flatMap((item) => leavesAt(item, rest)) : [];
  const own = Object.getOwnPropertyDescriptor(value ?? {}, step);
  return own?.enumerable === true ? leavesAt(own.value, rest) : [];
}

/** ISO 4217. */
const CURRENCY = /^[a-z]{3}$/;

/** An amount in its currency, and always as it was sent: nobody is to trust in where the point is put here. */
function money(
  sent: string,
  { currency, decimals }: NonNullable<HintField["money"]>,
  segments: Segments,
  parts: CallParts,
): string {
  const code = valueOf({ at: [currency] }, segments, parts)?.toLowerCase();
  if (!/^[0-9]{1,15}$/.test(sent)) return sent;
  if (code === undefined || !CURRENCY.test(code)) return `${sent} (in the currency's smallest unit)`;
  const digits = decimals[code] ?? 2;
  const whole = sent.padStart(digits + 1, "0");
  const point = whole.length - digits;
  const amount = digits === 0 ? whole : `${whole.slice(0, point)}.${whole.slice(point)}`;
  return `${amount.replace(/^0+(?=[0-9])/, "")} ${code.toUpperCase()} (sent as ${sent})`;
}
