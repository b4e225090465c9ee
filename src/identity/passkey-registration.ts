import { eq } from "drizzle-orm";
import type { AuditEvent } from "../audit/event.ts";
import type { Database } from "../base/database.ts";
import type { MemberId, PasskeyId, TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { Challenge, Challenges, Purpose } from "./challenges.ts";
import type { RegistrationInput } from "./passkey-schemas.ts";
import { passkeys } from "./tables.ts";
import {
  creationOptions,
  type ExistingCredential,
  type VerifiedRegistration,
  verifyRegistration,
} from "./webauthn.ts";

/** Between a browser and its authenticator, whoever gets a passkey and why: what is asked, and whether the answer is right. */
export class PasskeyRegistration {
  readonly #db: Database;
  readonly #origin: string;
  readonly #challenges: Challenges;

  constructor(parts: {
    readonly db: Database;
    /** The gateway's own, `https://host[:port]`: passkeys are for its host, and signed for it alone. */
    readonly origin: string;
    readonly challenges: Challenges;
  }) {
    this.#db = parts.db;
    this.#origin = parts.origin;
    this.#challenges = parts.challenges;
  }

  /** The passkeys that a person has: their authenticators make no second one. */
  existing(tenantId: TenantId, memberId: MemberId): Promise<readonly ExistingCredential[]> {
    return this.#db
      .of(tenantId)
      .select({ credentialId: passkeys.credentialId, transports: passkeys.transports })
      .from(passkeys)
      .where(eq(passkeys.memberId, memberId));
  }

  /** What to ask an authenticator for, and the cookie that binds the answer to this browser. */
  options(
    purpose: Purpose,
    person: { readonly tenantId: TenantId; readonly memberId: MemberId; readonly name: string },
    existing: readonly ExistingCredential[],
  ) {
    const { challenge, cookie } = this.#challenges.make(purpose);
    const rpId = new URL(this.#origin).hostname;
    return { options: creationOptions({ challenge, rpId, ...person, existing }), cookie };
  }

  /** Throws VALIDATION_ERROR where it is no answer to what this browser was asked for. */
  async verify(
    purpose: Purpose,
    input: RegistrationInput,
    cookies: string | null,
  ): Promise<{ readonly challenge: Challenge; readonly verified: VerifiedRegistration }> {
    const challenge = this.#challenges.read(cookies, purpose);
    const verified =
      challenge === null ? null : await verifyRegistration(input, challenge.challenge, this.#origin);
    if (challenge === null || verified === null) throw unverified();
    return { challenge, verified };
  }
}

export function passkeyCreated(
  id: PasskeyId,
  memberId: MemberId,
  name: string,
  more: Readonly<Record<string, unknown>> = {},
): Pick<AuditEvent, "event_type" | "resource_type" | "resource" | "context"> {
  return {
    event_type: "passkey.created",
    resource_type: "passkey",
    resource: id,
    context: { member_id: memberId, name, ...more },
  };
}

/** The one answer to a registration that is not right. */
export function unverified(): Problem {
  return new Problem("VALIDATION_ERROR", "The authenticator's answer could not be verified.", {
    why: "Ask for new options and let the authenticator answer them within 5 minutes, in the same browser.",
  });
}
