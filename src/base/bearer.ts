import { Problem } from "./problem.ts";

/** The credential of an `Authorization: Bearer …` header (RFC 6750 §2.1), null where there is none. */
export function bearerCredential(authorization: string | null): string | null {
  return /^bearer +([\x21-\x7e]{1,4096})$/i.exec(authorization ?? "")?.[1] ?? null;
}

/** What an `Authorization` header presents, by `Bearer` or by `DPoP` (RFC 9449 §7.1); null for anything else. */
export function presentedCredential(
  authorization: string | null,
): { readonly scheme: "bearer" | "dpop"; readonly credential: string } | null {
  const [, scheme = "", credential] =
    /^(bearer|dpop) +([\x21-\x7e]{1,4096})$/i.exec(authorization ?? "") ?? [];
  if (credential === undefined) return null;
  return { scheme: scheme.toLowerCase() === "dpop" ? "dpop" : "bearer", credential };
}

/**
 * The one answer where a live token is bound to a key and the request does not prove that its sender holds that key, or
 * proves it with what was used before (attack 58, RFC 9449 §7.1).
 */
export function proofRefused(): Problem {
  return new Problem(
    "UNAUTHORIZED",
    "This token is bound to a key, and the request does not prove that key.",
    {
      why: "Send `Authorization: DPoP …` (or `X-Valetkey-Token`) with one fresh proof for this request in `DPoP`: `htm`, `htu`, `ath`, a `jti` and `iat` of its own (RFC 9449).",
      headers: { "www-authenticate": 'DPoP error="invalid_dpop_proof"' },
    },
  );
}

/** Whether a problem is `proofRefused`'s. */
export function isProofRefusal({ code, options }: Problem): boolean {
  return code === "UNAUTHORIZED" && options.headers?.["www-authenticate"]?.startsWith("DPoP ") === true;
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
