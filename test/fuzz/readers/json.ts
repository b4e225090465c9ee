/** JSON as one reader finds it: nothing is decided yet about names that come twice and numbers that are too long. */
export type Found =
  | { readonly kind: "object"; readonly members: readonly (readonly [name: string, value: Found])[] }
  | { readonly kind: "list"; readonly items: readonly Found[] }
  | { readonly kind: "number"; readonly literal: string }
  | { readonly kind: "other"; readonly value: string | boolean | null };

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/gs;

/** Reads text that is valid JSON, as a stream of tokens. */
export function findJson(text: string): Found {
  const tokens = text.match(TOKEN) ?? [];
  let at = 0;
  const list = <T>(end: string, item: () => T): T[] => {
    const items: T[] = [];
    at += 1;
    while (tokens[at] !== end) {
      items.push(item());
      if (tokens[at] === ",") at += 1;
    }
    at += 1;
    return items;
  };
  const value = (): Found => {
    const token = tokens[at] ?? "";
    if (token === "[") return { kind: "list", items: list("]", value) };
    if (token === "{") return { kind: "object", members: list("}", member) };
    at += 1;
    const read = JSON.parse(token) as string | number | boolean | null;
    return typeof read === "number" ? { kind: "number", literal: token } : { kind: "other", value: read };
  };
  const member = (): readonly [string, Found] => {
    const name = String(JSON.parse(tokens[at] ?? ""));
    at += 2;
    return [name, value()];
  };
  return value();
}

/** The exact number of a literal as a fraction of whole numbers; null where it is too large to write down. */
export function exact(literal: string): readonly [numerator: bigint, denominator: bigint] | null {
  const [mantissa = "", exponent = "0"] = literal.toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  const power = Number(exponent) - fraction.length;
  if (Math.abs(power) > 2_000) return null;
  const digits = BigInt(whole + fraction);
  return power >= 0 ? [digits * 10n ** BigInt(power), 1n] : [digits, 10n ** BigInt(-power)];
}
