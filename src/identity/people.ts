import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import type { TenantId } from "../base/ids.ts";
import type { SealedTexts } from "../vault/sealed-text.ts";
import { Challenges } from "./challenges.ts";
import { Enrolment } from "./enrolment.ts";
import { IdentityProviders } from "./identity-providers.ts";
import type { IssuerMemory } from "./issuer-endpoints.ts";
import { Kinship } from "./kinship.ts";
import type { Fetch } from "./oidc/issuer.ts";
import type { VerifyDependencies } from "./oidc/verify.ts";
import { PasskeyRegistration } from "./passkey-registration.ts";
import { PasskeySignIns } from "./passkey-sign-in.ts";
import { Passkeys } from "./passkeys.ts";
import { PresentedTokens } from "./presented-tokens.ts";
import { Recognition } from "./recognition.ts";
import { Sessions } from "./sessions.ts";
import { SignIns } from "./sign-in.ts";
import { Team } from "./team.ts";
import type { Post } from "./token-endpoint.ts";

/** How people come to be members, and how they show who they are. */
export interface People {
  readonly challenges: Challenges;
  readonly enrolment: Enrolment;
  readonly identityProviders: IdentityProviders;
  readonly kinship: Kinship;
  readonly passkeys: Passkeys;
  readonly passkeySignIns: PasskeySignIns;
  readonly presentedTokens: PresentedTokens;
  readonly sessions: Sessions;
  readonly signIns: SignIns;
  readonly team: Team;
}

export function createPeople(parts: {
  readonly db: Database;
  readonly clock: Clock;
  /** The deployment's PEPPER, 32 bytes. */
  readonly pepper: Uint8Array;
  /** The gateway's own, `https://host[:port]`. */
  readonly origin: string;
  readonly sealed: SealedTexts;
  readonly verification: VerifyDependencies;
  readonly memory: IssuerMemory;
  readonly fetch: Fetch & Post;
  /** Called once a tenant's events wait in the outbox: brings them to the ledger in the background. */
  readonly onEvents: (tenantId: TenantId) => void;
  readonly waitUntil: (promise: Promise<unknown>) => void;
}): People {
  const { db, clock, pepper, origin, sealed, verification, memory, fetch, onEvents, waitUntil } = parts;
  const { checkDestination } = verification;
  const providers = new IdentityProviders({ db, clock, sealed, checkDestination, onEvents });
  const recognition = new Recognition({ db, clock, onEvents });
  const kinship = new Kinship({ db, clock });
  const secure = origin.startsWith("https:");
  const sessions = new Sessions({ db, clock, pepper, secure, onEvents, waitUntil });
  const challenges = new Challenges({ clock, pepper, secure });
  const registration = new PasskeyRegistration({ db, origin, challenges });
  return {
    challenges,
    enrolment: new Enrolment({ db, clock, pepper, registration, sessions, onEvents }),
    identityProviders: providers,
    kinship,
    passkeys: new Passkeys({ db, clock, registration, onEvents }),
    passkeySignIns: new PasskeySignIns({ db, clock, origin, challenges, sessions }),
    presentedTokens: new PresentedTokens({ db, providers, recognition, verification }),
    sessions,
    signIns: new SignIns({
      ...{ db, clock, pepper, origin, providers, recognition, sessions, verification, memory },
      ...{ get: fetch, post: fetch },
    }),
    team: new Team({ db, clock, pepper, kinship, onEvents }),
  };
}
