import { Problem } from "../base/problem.ts";
import type { OpenSecrets } from "./kind.ts";

/** Says what is wrong with a secret by its name, never by its value. */
export function unusable(name: string, why: string): Problem {
  return new Problem("SECRET_UNUSABLE", `The secret "${name}" ${why}.`, {
    why: "Store a new version of the secret; a line break at its end is the usual cause.",
  });
}

/** A secret as text. Throws `SECRET_UNUSABLE` where it is missing, empty or not UTF-8. */
export function secretText(secrets: OpenSecrets, name: string): string {
  const secret = Object.hasOwn(secrets, name) ? secrets[name] : undefined;
  if (secret === undefined) throw unusable(name, "is missing");
  const bytes = secret.revealBytes();
  if (bytes.byteLength === 0) throw unusable(name, "is empty");
  try {
    return secret.reveal();
  } catch {
    throw unusable(name, "is not UTF-8 text");
  }
}
