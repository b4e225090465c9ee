/** What a server makes of a form: a value, a list, or members by name. */
export type Tree = string | Tree[] | Map<string, Tree>;

/** Decodes as lenient servers do: what is no escape stays as it is. */
function lenient(text: string): string {
  const spaced = text.replaceAll("+", " ");
  const bytes = Buffer.from(spaced, "utf8")
    .toString("latin1")
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString("utf8");
}

export function pairsOf(text: string, separator: RegExp): (readonly [name: string, value: string])[] {
  return text
    .split(separator)
    .filter((pair) => pair !== "")
    .map((pair) => {
      const equals = pair.indexOf("=");
      return equals < 0
        ? [lenient(pair), ""]
        : [lenient(pair.slice(0, equals)), lenient(pair.slice(equals + 1))];
    });
}

/** PHP's `parse_str`: names are trimmed, cut at NUL, folded into variables; the last one wins. */
export function phpReader(text: string): Map<string, Tree> {
  const variables = new Map<string, Tree>();
  for (const [raw, value] of pairsOf(text, /&/)) {
    const [cut = ""] = raw.split("\0", 1);
    const name = cut.replace(/^ +/, "");
    const path = phpPath(name);
    if (path !== null) assign(variables, path, value, "replace");
  }
  return variables;
}

export function phpPath(name: string): string[] | null {
  const open = name.indexOf("[");
  const root = (open < 0 ? name : name.slice(0, open)).replace(/[ .]/g, "_");
  if (root === "") return null;
  if (open < 0) return [root];
  const path = [root];
  let at = open;
  while (name[at] === "[") {
    const close = name.indexOf("]", at);
    if (close < 0) return at === open ? [name.replace(/[ .[]/g, "_")] : path;
    path.push(name.slice(at + 1, close));
    at = close + 1;
  }
  return path;
}

/** As `qs` with `allowDots` and Rack read: dots and brackets lead into objects, what comes twice is a list. */
export function nestingReader(text: string): Map<string, Tree> {
  const members = new Map<string, Tree>();
  for (const [name, value] of pairsOf(text, /[&;]/)) assign(members, nestingPath(name), value, "collect");
  return members;
}

export function nestingPath(name: string): string[] {
  return name
    .replace(/\.([^.[\]]+)/g, "[$1]")
    .split("[")
    .map((part) => part.replace(/\]$/, "").replace(/^0+(?=[0-9])/, ""));
}

function assign(
  root: Map<string, Tree>,
  path: readonly string[],
  value: string,
  twice: "replace" | "collect",
) {
  let at: Map<string, Tree> = root;
  for (const [index, part] of path.entries()) {
    const key = part === "" ? `#${at.size}` : part;
    const known = at.get(key);
    if (index === path.length - 1) {
      at.set(key, twice === "collect" && known !== undefined ? [known, value] : value);
      return;
    }
    const next: Map<string, Tree> = known instanceof Map ? known : new Map();
    at.set(key, next);
    at = next;
  }
}

/** What stands at a path: of a list the items, in order. */
export function lookUp(tree: Tree | undefined, path: readonly string[]): Tree | undefined {
  const [part, ...rest] = path;
  if (part === undefined) return tree;
  if (!(tree instanceof Map)) return undefined;
  if (part !== "") return lookUp(tree.get(part), rest);
  const items = [...tree].filter(([key]) => key.startsWith("#")).map(([, item]) => lookUp(item, rest));
  return items.filter((item): item is Tree => item !== undefined);
}
