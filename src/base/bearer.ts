import { Problem } from "./problem.ts";

/** The credential of an `Authorization: Bearer …` header (RFC 6750 §2.1), null where there is none. */
export function bearerCredential(authorization: string | null): string | null {
  return /^bearer +([\x21-\x7e]{1,4096})$/i.exec(authorization ?? "")?.[1] ?? null;
}

/**
 * The one answer to a missing, malformed, unknown, revoked or expired credential: whoever tries some learns nothing
 * about which ones exist (attack 57).
 */
export function unauthorized(): Problem {
  return new Problem("UNAUTHORIZED", "There is no valid credential in this request.", {
    why: "Send `Authorization: Bearer …` with a credential that is live: an agent key, a token or a member's.",
    headers: { "www-authenticate": 'Bearer realm="valetkey"' },
  });
}
