import { z } from "zod";
import { equalDigests, hmacSha256 } from "../base/digest.ts";
import { idSchema } from "../base/ids.ts";

/** How long a person may take at the issuer. */
export const TRANSACTION_MS = 10 * 60_000;

const transactionSchema = z.strictObject({
  tenantId: idSchema("tenant"),
  providerId: idSchema("identityProvider"),
  /** 32 random bytes, base64url: state, nonce and verifier are made of it. */
  seed: z.string().length(43),
  returnTo: z.string(),
  /** The person has to show anew who they are. */
  fresh: z.boolean(),
  /** The session that the new one takes the place of. */
  replaces: idSchema("session").nullable(),
  /** Milliseconds since 1970. */
  expiresAt: z.number(),
});

/** A sign-in under way. It lives in the browser that began it, and only that browser can bring it back (attack 85). */
export type SignInTransaction = z.infer<typeof transactionSchema>;

export const newSeed = (): string =>
  Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");

/** What a cookie holds of it: signed, and nothing in it that an issuer or an onlooker could use. */
export function sealTransaction(pepper: Uint8Array, transaction: SignInTransaction): string {
  const payload = Buffer.from(JSON.stringify(transaction)).toString("base64url");
  return `${payload}.${Buffer.from(tagOf(pepper, payload)).toString("base64url")}`;
}

/** Null for what was not sealed here, or too long ago. `now` is in milliseconds since 1970. */
export function openTransaction(pepper: Uint8Array, sealed: string, now: number): SignInTransaction | null {
  const [payload = "", tag = "", ...more] = sealed.split(".");
  if (more.length > 0 || !equalDigests(tagOf(pepper, payload), Buffer.from(tag, "base64url"))) return null;
  const parsed = transactionSchema.safeParse(JSON.parse(Buffer.from(payload, "base64url").toString()));
  return parsed.success && parsed.data.expiresAt > now ? parsed.data : null;
}

/**
 * What goes to the issuer, 43 characters each. Made with the deployment's pepper, so that who sees one of them, or the
 * cookie, does not know the others: `state` binds the way back to the browser, `nonce` the ID token to the sign-in
 * (OpenID Connect Core §3.1.2.1), `verifier` the code to us (PKCE, RFC 7636 §4.1).
 */
export function derived(
  pepper: Uint8Array,
  { seed }: Pick<SignInTransaction, "seed">,
  what: "state" | "nonce" | "verifier",
): string {
  return Buffer.from(hmacSha256(pepper, JSON.stringify(["valetkey sign-in", what, seed]))).toString(
    "base64url",
  );
}

function tagOf(pepper: Uint8Array, payload: string): Uint8Array {
  return hmacSha256(pepper, JSON.stringify(["valetkey sign-in", "cookie", payload]));
}
