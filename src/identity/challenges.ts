import { randomBytes } from "node:crypto";
import { z } from "zod";
import type { Clock } from "../base/clock.ts";
import { equalDigests, hmacSha256, sha256Hex } from "../base/digest.ts";
import type { TenantId } from "../base/ids.ts";
import { type OwnCookie, ownCookie } from "./session-cookie.ts";

/** How long a person may take with the authenticator. */
const CHALLENGE_MS = 5 * 60_000;
const BYTES = 32;

/** A challenge is good for one thing: to sign in, to add a passkey of a member, or to use one enrolment code. */
export type Purpose = "sign-in" | `add ${string}` | `enrol ${string}`;

export interface Challenge {
  /** base64url */
  readonly challenge: string;
  /** What is kept once it was answered. */
  readonly digest: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

const sealedSchema = z.strictObject({ for: z.string(), challenge: z.string(), expires_at: z.number() });

/**
 * Challenges for authenticators. What was asked stands, sealed, in a cookie of the browser that was asked: asking writes
 * nothing, so nobody fills a table by it, and nobody can make a browser send an answer to somebody else's challenge
 * (attack 85). That each is good once is for who takes the answer: `digest` is written down with it.
 */
export class Challenges {
  readonly cookie: OwnCookie;
  readonly #clock: Clock;
  readonly #pepper: Uint8Array;

  /** `secure`: false for http on loopback in development alone. */
  constructor(parts: { readonly clock: Clock; readonly pepper: Uint8Array; readonly secure: boolean }) {
    this.cookie = ownCookie("valetkey-challenge", "Strict", parts.secure);
    this.#clock = parts.clock;
    this.#pepper = parts.pepper;
  }

  /** A fresh one, and the `Set-Cookie` header that keeps it for 5 minutes. */
  make(purpose: Purpose): { readonly challenge: string; readonly cookie: string } {
    const challenge = randomBytes(BYTES).toString("base64url");
    const sealed: z.infer<typeof sealedSchema> = {
      for: purpose,
      challenge,
      expires_at: this.#clock() + CHALLENGE_MS,
    };
    const text = Buffer.from(JSON.stringify(sealed)).toString("base64url");
    const tag = Buffer.from(this.#tag(text)).toString("base64url");
    return { challenge, cookie: this.cookie.write(`${text}.${tag}`, CHALLENGE_MS / 1_000) };
  }

  /** The one that this browser was given for this purpose; null where there is none, or it is too old. */
  read(cookieHeader: string | null, purpose: Purpose): Challenge | null {
    const [text = "", tag = "", ...more] = (this.cookie.read(cookieHeader) ?? "").split(".");
    if (more.length > 0 || !equalDigests(this.#tag(text), Buffer.from(tag, "base64url"))) return null;
    const {
      for: madeFor,
      challenge,
      expires_at: expiresAt,
    } = sealedSchema.parse(JSON.parse(Buffer.from(text, "base64url").toString()));
    if (madeFor !== purpose || expiresAt <= this.#clock()) return null;
    return { challenge, digest: sha256Hex(challenge), expiresAt };
  }

  #tag(text: string): Uint8Array {
    return hmacSha256(this.#pepper, `passkey challenge\n${text}`);
  }
}

/** What makes an answered challenge good for nothing more; those that are too old by `now` are forgotten. */
export function spending(
  client: D1Database,
  tenantId: TenantId,
  { digest, expiresAt }: Challenge,
  now: number,
): D1PreparedStatement[] {
  return [
    client
      .prepare("delete from spent_challenges where tenant_id = ?1 and expires_at <= ?2")
      .bind(tenantId, now),
    client
      .prepare(
        `insert into spent_challenges (id, tenant_id, expires_at)
         select ?2, ?1, ?3 where not exists (select 1 from spent_challenges where tenant_id = ?1 and id = ?2)`,
      )
      .bind(tenantId, digest, expiresAt),
  ];
}
