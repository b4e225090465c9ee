/** A piece of a statement's text. Words and quoted names are in lower case; a parameter has its number, from 1. */
export type Token =
  | { readonly kind: "word" | "name" | "symbol"; readonly text: string }
  | { readonly kind: "string" | "number" }
  | { readonly kind: "parameter"; readonly index: number };

/** Why a statement is not let through. Says nothing of the values in it. */
export class Refused extends Error {}

/**
 * What a statement of ours is made of, and nothing else: no comments, no second statement, no named parameters, no
 * bracketed names, no doubled quotes in names, nothing outside ASCII but in literals.
 */
const PIECE = new RegExp(
  [
    "(?<space>[ \\t\\r\\n]+)",
    "(?<word>[A-Za-z_][A-Za-z0-9_]*)",
    '(?<name>"[^"\\0]+"(?!")|`[^`\\0]+`(?!`))',
    "(?<string>'(?:[^'\\0]|'')*')",
    "(?<number>[0-9]+(?:\\.[0-9]+)?(?![A-Za-z0-9_.]))",
    "\\?(?<parameter>[0-9]{0,4})",
    "(?<symbol>->>|->|\\|\\||<=|>=|<>|!=|==|(?!--|/\\*)[-+*/%=<>(),.])",
  ].join("|"),
  "y",
);

/** Throws Refused. */
export function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let highest = 0;
  let at = 0;
  while (at < text.length) {
    PIECE.lastIndex = at;
    const groups = PIECE.exec(text)?.groups;
    if (groups === undefined) throw new Refused("it has something that is not read");
    at = PIECE.lastIndex;
    const { word, name, string, number, parameter, symbol } = groups;
    if (word !== undefined) tokens.push({ kind: "word", text: word.toLowerCase() });
    else if (name !== undefined) tokens.push({ kind: "name", text: name.slice(1, -1).toLowerCase() });
    else if (string !== undefined) tokens.push({ kind: "string" });
    else if (number !== undefined) tokens.push({ kind: "number" });
    else if (symbol !== undefined) tokens.push({ kind: "symbol", text: symbol });
    else if (parameter !== undefined) {
      // As SQLite counts: a bare one is the next after the highest so far.
      const index = parameter === "" ? highest + 1 : Number(parameter);
      if (index < 1) throw new Refused("a parameter has no number");
      highest = Math.max(highest, index);
      tokens.push({ kind: "parameter", index });
    }
  }
  return tokens;
}

/** The statement without what its literals say, for the log. */
export function shapeOf(text: string): string {
  try {
    const pieces = tokensOf(text).map((token) => {
      if (token.kind === "parameter") return `?${token.index}`;
      return "text" in token ? token.text : "…";
    });
    return pieces.join(" ").slice(0, 500);
  } catch {
    return `unreadable, ${text.length} characters`;
  }
}
