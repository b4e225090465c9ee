import { z } from "zod";
import { defineKind } from "../kind.ts";
import { percentDecode, percentEncode } from "../parameters.ts";
import { secretText, unusable } from "../secret-text.ts";

const folder = z
  .string()
  .max(128)
  .regex(/^(?:\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$/, "must be a path such as /file");

const prefixed = z
  .string()
  .max(128)
  .regex(
    /^(?:\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+\/?$/,
    "must be the path up to the secret, such as /bot or /v3/",
  );

interface Options {
  readonly prefix: string;
  readonly after: readonly string[];
}

function segmentsOf(path: string): string[] {
  return path.slice(1).split("/");
}

/** How many leading segments stand before the credential's place: those of the first `after` the path begins with. */
function offsetOf(segments: readonly string[], after: readonly string[]): number {
  for (const candidate of after) {
    const names = segmentsOf(candidate);
    if (names.every((name, index) => percentDecode(segments[index] ?? "") === name)) return names.length;
  }
  return 0;
}

/** True if the prefix, with anything behind its last segment, stands at `offset`. */
function standsAt(segments: readonly string[], offset: number, names: readonly string[]): boolean {
  return names.every((name, index) => {
    const segment = segments[offset + index];
    if (segment === undefined) return false;
    const decoded = percentDecode(segment);
    return index === names.length - 1 ? decoded.startsWith(name) : decoded === name;
  });
}

/**
 * A path segment: `/bot{secret}/getMe` with the prefix `/bot`, `/v3/{secret}/…` with the prefix `/v3/`. `after` names
 * folders behind which the same prefix stands instead of at the start (`/file/bot{secret}/…`). The client's path may
 * hold the prefix with a placeholder or leave it out; what begins with the prefix is always taken for the placeholder.
 */
export const path = defineKind<Options>({
  kind: "path",
  options: z.strictObject({ prefix: prefixed, after: z.array(folder).max(8).default([]) }),
  needsBody: false,
  secretNames: () => ["secret"],
  strip(outgoing, { prefix, after }) {
    const segments = segmentsOf(outgoing.path);
    const names = segmentsOf(prefix);
    const offset = offsetOf(segments, after);
    let found = false;
    while (standsAt(segments, offset, names)) {
      segments.splice(offset, names.length);
      found = true;
    }
    if (found) outgoing.path = `/${segments.join("/")}`;
  },
  inject(outgoing, { prefix, after }, secrets) {
    const secret = secretText(secrets, "secret");
    if (/[\p{Cc}/\\]/u.test(secret)) throw unusable("secret", "has a slash, backslash or control character");
    if (/^\.+$/.test(secret)) throw unusable("secret", "is a relative path");
    // `:` may stand in a segment (RFC 3986, 3.3), and Telegram's own examples have it there unencoded.
    const encoded = percentEncode(secret).replaceAll("%3A", ":");
    const segments = segmentsOf(outgoing.path);
    const offset = offsetOf(segments, after);
    const rest = segments.slice(offset);
    const behind = rest.length === 1 && rest[0] === "" ? [] : rest;
    const folders = segments.slice(0, offset).map((segment) => `/${segment}`);
    outgoing.path = `${folders.join("")}${prefix}${encoded}${behind.map((segment) => `/${segment}`).join("")}`;
  },
  renderings: (_options, secrets) => [secretText(secrets, "secret")],
});
