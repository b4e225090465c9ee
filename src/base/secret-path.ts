import { z } from "zod";

const SEGMENT = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const RESERVED_KEYS = new Set(["rotate", "rollback", "versions", "import"]);
const MAX_LENGTH = 512;

function hasValidSegments(path: string, min: number): boolean {
  const segments = path.split("/");
  return (
    path.length <= MAX_LENGTH && segments.length >= min && segments.every((segment) => SEGMENT.test(segment))
  );
}

const SEGMENTS_MESSAGE =
  "segments are letters, digits, `_`, `-` and `.`, do not begin with `.` or `-`, and have at most 128 characters, 512 in all";

/** A secret's path, `namespace/…/KEY`: two segments or more, the last one the key. */
export const secretPathSchema = z
  .string()
  .refine(
    (path) => hasValidSegments(path, 2),
    `must be a path such as "production/stripe/API_KEY": ${SEGMENTS_MESSAGE}`,
  )
  .refine(
    (path) => !RESERVED_KEYS.has(path.slice(path.lastIndexOf("/") + 1)),
    "must not end in rotate, rollback, versions or import, which are reserved",
  );

/** A namespace: one segment or more. */
export const namespaceSchema = z
  .string()
  .refine(
    (path) => hasValidSegments(path, 1),
    `must be a namespace such as "production/stripe": ${SEGMENTS_MESSAGE}`,
  );

/** The namespace and the key of a valid path. */
export function splitSecretPath(path: string): { namespace: string; key: string } {
  const slash = path.lastIndexOf("/");
  return { namespace: path.slice(0, slash), key: path.slice(slash + 1) };
}
