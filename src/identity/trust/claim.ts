import { matchesGlob } from "../../base/glob.ts";

/**
 * What a claim has to be: exactly a value, one of several, like one of several globs (`*` stands for any run of
 * characters), or, where the claim is a list, a list that contains a value.
 */
export type ClaimMatch =
  | string
  | readonly string[]
  | { readonly like: readonly string[] }
  | { readonly contains: string };

type Claims = Readonly<Record<string, unknown>>;

/**
 * The claim that a name stands for: a member of the token, or, where the name begins with `/`, what lies inside one (a
 * JSON Pointer, RFC 6901: `/kubernetes.io/serviceaccount/uid`).
 */
export function claimAt(claims: Claims, name: string): unknown {
  const path = name.startsWith("/")
    ? name
        .slice(1)
        .split("/")
        .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
    : [name];
  let value: unknown = claims;
  for (const part of path) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    if (!Object.hasOwn(value, part)) return undefined;
    value = (value as Claims)[part];
  }
  return value;
}

/** Numbers and booleans as they are written in JSON; null for what a rule cannot be about. */
function asText(value: unknown): string | null {
  if (typeof value === "string") return value;
  return Number.isSafeInteger(value) || typeof value === "boolean" ? String(value) : null;
}

/** Whether a claim is what a rule asks for. A list matches `contains` only, so that it never stands for an identity. */
export function matchesClaim(value: unknown, match: ClaimMatch): boolean {
  if (typeof match === "object" && "contains" in match) {
    return Array.isArray(value) && value.includes(match.contains);
  }
  const text = asText(value);
  if (text === null) return false;
  if (typeof match === "string") return text === match;
  if ("like" in match) return match.like.some((glob) => matchesGlob(glob, text));
  return match.includes(text);
}

/** The values a match pins a claim to, null where it leaves it open. */
export function pinnedValues(match: ClaimMatch | undefined): readonly string[] | null {
  if (match === undefined) return null;
  if (typeof match === "string") return [match];
  return "like" in match || "contains" in match ? null : match;
}
