const MAX_DEPTH = 16;
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:,]/g;

/**
 * The object that JSON text stands for; null where it is not JSON, not an object, nested deeper than 16, or has a member
 * name twice (RFC 7515 §4, RFC 7519 §4: of two, another reader may have checked the other one).
 */
export function parseStrictObject(text: string): Readonly<Record<string, unknown>> | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  return hasUniqueNames(text) ? (value as Readonly<Record<string, unknown>>) : null;
}

/** Of text that is known to be JSON. */
function hasUniqueNames(text: string): boolean {
  const open: (Set<string> | null)[] = [];
  let last = "";
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === "{" || token === "[") {
      open.push(token === "{" ? new Set() : null);
      if (open.length > MAX_DEPTH) return false;
    } else if (token === "}" || token === "]") {
      open.pop();
    } else if (token === ":") {
      const name = JSON.parse(last) as string;
      const names = open.at(-1);
      if (names?.has(name)) return false;
      names?.add(name);
    }
    last = token;
  }
  return true;
}
