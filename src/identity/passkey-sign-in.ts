import { and, eq, isNull } from "drizzle-orm";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { idSchema, type MemberId, type PasskeyId, type TenantId } from "../base/ids.ts";
import { jurisdictionOf } from "../base/jurisdiction.ts";
import { Problem } from "../base/problem.ts";
import type { RequestInfo } from "../base/request.ts";
import { type Challenge, type Challenges, spending } from "./challenges.ts";
import { heldSession } from "./held-session.ts";
import type { AssertionInput } from "./passkey-schemas.ts";
import type { Sessions, StartedSession } from "./sessions.ts";
import { members, passkeys } from "./tables.ts";
import { readUserHandle, requestOptions, verifyAssertion } from "./webauthn.ts";

export interface SignedIn {
  readonly tenantId: TenantId;
  readonly memberId: MemberId;
  readonly session: StartedSession;
}

/**
 * The built-in sign-in. Whom an identity provider vouches for comes in through that; a passkey makes their session fresh
 * (heldSession).
 */
export class PasskeySignIns {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #origin: string;
  readonly #challenges: Challenges;
  readonly #sessions: Sessions;

  constructor(parts: {
    readonly db: Database;
    readonly clock: Clock;
    /** The gateway's own, `https://host[:port]`: passkeys are for its host, and signed for it alone. */
    readonly origin: string;
    readonly challenges: Challenges;
    readonly sessions: Sessions;
  }) {
    this.#db = parts.db;
    this.#clock = parts.clock;
    this.#origin = parts.origin;
    this.#challenges = parts.challenges;
    this.#sessions = parts.sessions;
  }

  /** What to ask an authenticator for, and the cookie that binds the answer to this browser. Says nothing about anyone. */
  options() {
    const { challenge, cookie } = this.#challenges.make("sign-in");
    return { options: requestOptions(challenge, new URL(this.#origin).hostname), cookie };
  }

  /**
   * Signs a person in, always with a new session; the browser's own one of the same person ends. Whatever is wrong (no
   * such passkey, a removed one, one of a removed member or of an identity provider's who is not signed in, another
   * origin, an answer given before, a counter that went back) the answer is one: UNAUTHORIZED.
   */
  async signIn(input: AssertionInput, cookies: string | null, request: RequestInfo): Promise<SignedIn> {
    const challenge = this.#challenges.read(cookies, "sign-in");
    const found = challenge === null ? null : await this.#find(input);
    if (challenge === null || found === null) throw refused();
    const { tenantId, memberId, id } = found;
    const verified = await verifyAssertion(input, challenge.challenge, this.#origin, found);
    if (verified === null) throw refused();
    const held = await heldSession(this.#db, this.#sessions, found, cookies).catch(refuse);
    if (!(await this.#spend(tenantId, id, challenge, verified))) throw refused();
    const session = await this.#sessions.start({
      ...{ tenantId, memberId, authenticatedAt: this.#clock(), request },
      ...held,
    });
    return { tenantId, memberId, session };
  }

  /** Whose passkey an assertion is said to be of, by what the authenticator keeps with it; nobody is looked up by guess. */
  async #find({ id, response }: AssertionInput) {
    const handle = response.userHandle ? readUserHandle(response.userHandle) : null;
    const tenantId = idSchema("tenant").safeParse(handle?.[0]);
    const memberId = idSchema("member").safeParse(handle?.[1]);
    if (!tenantId.success || !memberId.success) return null;
    if (!this.#db.jurisdictions.includes(jurisdictionOf(tenantId.data))) return null;
    const [row] = await this.#db
      .of(tenantId.data)
      .select({
        id: passkeys.id,
        tenantId: passkeys.tenantId,
        memberId: passkeys.memberId,
        credentialId: passkeys.credentialId,
        publicKey: passkeys.publicKey,
        counter: passkeys.counter,
        issuer: members.issuer,
      })
      .from(passkeys)
      .innerJoin(members, and(eq(members.id, passkeys.memberId), eq(members.tenantId, passkeys.tenantId)))
      .where(
        and(
          eq(passkeys.credentialId, id),
          eq(passkeys.memberId, memberId.data),
          ...[eq(members.script, false), isNull(members.revokedAt)],
        ),
      );
    return row ?? null;
  }

  /** Takes an answer, once: false where its challenge was answered before or the counter has moved on meanwhile. */
  async #spend(
    tenantId: TenantId,
    id: PasskeyId,
    challenge: Challenge,
    { counter, backedUp }: { readonly counter: number; readonly backedUp: boolean },
  ): Promise<boolean> {
    const now = this.#clock();
    const { $client: client } = this.#db.of(tenantId);
    const [used] = await client.batch([
      client
        .prepare(
          `update passkeys set counter = ?3, backed_up = ?4, last_used_at = ?5
           where tenant_id = ?1 and id = ?2 and (counter < ?3 or (counter = 0 and ?3 = 0))
           and not exists (select 1 from spent_challenges where tenant_id = ?1 and id = ?6) returning id`,
        )
        .bind(tenantId, id, counter, backedUp ? 1 : 0, now, challenge.digest),
      ...spending(client, tenantId, challenge, now),
    ]);
    return used?.results.length === 1;
  }
}

/** The one answer to whoever does not get in: which part was wrong is nobody's business. */
function refused(): Problem {
  return new Problem("UNAUTHORIZED", "This does not sign anybody in.", {
    why: "Use a passkey that is registered here, in the browser that asked for it and within 5 minutes. Who comes through an identity provider signs in there first.",
  });
}

function refuse(cause: unknown): never {
  throw cause instanceof Problem && cause.code === "UNAUTHORIZED" ? refused() : cause;
}
