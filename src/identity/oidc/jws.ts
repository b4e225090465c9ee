import { type Algorithm, isAlgorithm } from "./algorithms.ts";
import { parseStrictObject } from "./strict-json.ts";

export type Members = Readonly<Record<string, unknown>>;

/** A compact JWS (RFC 7515 §3.1) that was read and not verified: its parts say nothing until they are. */
export interface UnverifiedJws {
  readonly algorithm: Algorithm;
  /** Lower case, null where there is none. */
  readonly type: string | null;
  /** Data to compare with: never part of a path, URL or query (attack 53). */
  readonly keyId: string | null;
  readonly header: Members;
  readonly payload: Members;
}

export type JwsRefusal = "too_large" | "malformed" | "encrypted" | "algorithm" | "header" | "key_id";

export type ReadJws =
  | { readonly kind: "read"; readonly jws: UnverifiedJws }
  | { readonly kind: "refused"; readonly reason: JwsRefusal };

/**
 * Header parameters that would let a token bring or name its own key (RFC 7515 §4.1.2–4.1.6), extend the format
 * (`crit`, `b64`) or make it a JWE (attack 53). Refused rather than ignored: an honest issuer sends none.
 */
const FORBIDDEN = [
  "jwk",
  "jku",
  "x5u",
  "x5c",
  "crit",
  "b64",
  "zip",
  "enc",
  "epk",
  "apu",
  "apv",
  "p2s",
  "p2c",
];
const KEY_ID = /^[\x20-\x7e]{1,256}$/;
const BASE64URL = /^[A-Za-z0-9_-]+$/;

const refused = (reason: JwsRefusal): ReadJws => ({ kind: "refused", reason });

function decodeObject(part: string): Members | null {
  if (!BASE64URL.test(part)) return null;
  try {
    return parseStrictObject(
      new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(part, "base64url")),
    );
  } catch {
    return null;
  }
}

/**
 * Reads a compact JWS of at most `maxCharacters` whose header is asymmetric and names no key of its own, but for
 * `allowed` (DPoP's `jwk`). Nothing is computed from the header: a PBES2 iteration count is never looked at.
 */
export function readJws(token: string, maxCharacters: number, allowed?: "jwk"): ReadJws {
  if (token.length > maxCharacters) return refused("too_large");
  const [protectedHeader = "", payloadPart = "", signature = "", ...more] = token.split(".", 6);
  if (more.length === 2) return refused("encrypted");
  if (more.length > 0 || !BASE64URL.test(signature)) return refused("malformed");
  const header = decodeObject(protectedHeader);
  if (header === null) return refused("malformed");
  if (FORBIDDEN.some((name) => name !== allowed && Object.hasOwn(header, name))) return refused("header");
  const { alg, typ, kid } = header;
  if (!isAlgorithm(alg)) return refused("algorithm");
  if (typ !== undefined && typeof typ !== "string") return refused("malformed");
  if (kid !== undefined && !(typeof kid === "string" && KEY_ID.test(kid))) return refused("key_id");
  const payload = decodeObject(payloadPart);
  if (payload === null) return refused("malformed");
  return {
    kind: "read",
    jws: { algorithm: alg, type: typ?.toLowerCase() ?? null, keyId: kid ?? null, header, payload },
  };
}
