import type { MemberId, TenantId } from "../base/ids.ts";
import type { AssertionInput, RegistrationInput } from "./passkey-schemas.ts";

/** What an authenticator is told to do, and for how long a person may take. */
const TIMEOUT_MS = 5 * 60_000;

/** COSE algorithms that are taken: EdDSA, ES256, RS256. */
const ALGORITHMS = [-8, -7, -257] as const;

export interface VerifiedRegistration {
  /** base64url */
  readonly credentialId: string;
  /** COSE_Key, base64url. */
  readonly publicKey: string;
  readonly counter: number;
  readonly backedUp: boolean;
}

export interface VerifiedAssertion {
  readonly counter: number;
  readonly backedUp: boolean;
}

/** One that a person has already, for which no second is made on the same authenticator. */
export interface ExistingCredential {
  readonly credentialId: string;
  readonly transports: readonly string[];
}

/** A public key as it is kept. */
export interface HeldCredential {
  readonly credentialId: string;
  readonly publicKey: string;
  readonly counter: number;
}

/**
 * What an authenticator keeps with a key, and gives back with each assertion: where to look for it. Nothing of it says
 * who the person is. At most 64 bytes (WebAuthn §5.4.3): with a jurisdiction it is 57.
 */
function userHandle(tenantId: TenantId, memberId: MemberId): string {
  return Buffer.from(`${tenantId}.${memberId}`).toString("base64url");
}

/** The tenant's and member's ids of a user handle, unchecked; null where it is none of ours. */
export function readUserHandle(handle: string): readonly [string, string] | null {
  const [tenantId, memberId, ...more] = Buffer.from(handle, "base64url").toString().split(".");
  return tenantId === undefined || memberId === undefined || more.length > 0 ? null : [tenantId, memberId];
}

/** The member `publicKey` of `navigator.credentials.create()`, as JSON (WebAuthn Level 3, §5.1.8). */
export function creationOptions(input: {
  readonly challenge: string;
  readonly rpId: string;
  readonly tenantId: TenantId;
  readonly memberId: MemberId;
  readonly name: string;
  /** The member's own, so that an authenticator is not registered twice. */
  readonly existing: readonly ExistingCredential[];
}) {
  return {
    challenge: input.challenge,
    rp: { id: input.rpId, name: "Valetkey" },
    user: { id: userHandle(input.tenantId, input.memberId), name: input.name, displayName: input.name },
    pubKeyCredParams: ALGORITHMS.map((alg) => ({ type: "public-key" as const, alg })),
    timeout: TIMEOUT_MS,
    attestation: "none" as const,
    authenticatorSelection: {
      residentKey: "required" as const,
      requireResidentKey: true,
      userVerification: "required" as const,
    },
    excludeCredentials: input.existing.map(({ credentialId, transports }) => {
      return { type: "public-key" as const, id: credentialId, transports: [...transports] };
    }),
  };
}

/** The member `publicKey` of `navigator.credentials.get()`, as JSON: for whichever passkey the person picks. */
export function requestOptions(challenge: string, rpId: string) {
  return {
    challenge,
    rpId,
    timeout: TIMEOUT_MS,
    userVerification: "required" as const,
    allowCredentials: [],
  };
}

/**
 * Verifies a registration (WebAuthn Level 3, §7.1): challenge, origin, relying party, that the person was there and was
 * verified. Null where anything is not so. Who made the authenticator is neither asked for nor read: the statement about
 * it is left out before anything parses it.
 */
export async function verifyRegistration(
  { id, response }: RegistrationInput,
  challenge: string,
  origin: string,
): Promise<VerifiedRegistration | null> {
  if (isFramed(response.clientDataJSON)) return null;
  try {
    const { verifyRegistrationResponse } = await import("@simplewebauthn/server");
    const { decodeAttestationObject } = await import("@simplewebauthn/server/helpers");
    const attestation = decodeAttestationObject(bytesOf(response.attestationObject));
    const { verified, registrationInfo } = await verifyRegistrationResponse({
      response: {
        id,
        rawId: id,
        type: "public-key",
        clientExtensionResults: {},
        response: {
          clientDataJSON: response.clientDataJSON,
          attestationObject: withoutStatement(attestation.get("authData")),
        },
      },
      expectedChallenge: challenge,
      expectedOrigin: origin,
      expectedRPID: new URL(origin).hostname,
      requireUserVerification: true,
      supportedAlgorithmIDs: [...ALGORITHMS],
    });
    if (!verified || registrationInfo.credential.id !== id) return null;
    const { credential, credentialBackedUp } = registrationInfo;
    return {
      credentialId: credential.id,
      publicKey: Buffer.from(credential.publicKey).toString("base64url"),
      counter: credential.counter,
      backedUp: credentialBackedUp,
    };
  } catch {
    return null;
  }
}

/**
 * Verifies an assertion (WebAuthn Level 3, §7.2): challenge, origin, relying party, that the person was there and was
 * verified, signature, and that the counter went up where there is one. Null where anything is not so.
 */
export async function verifyAssertion(
  { id, response }: AssertionInput,
  challenge: string,
  origin: string,
  held: HeldCredential,
): Promise<VerifiedAssertion | null> {
  if (isFramed(response.clientDataJSON)) return null;
  try {
    const { verifyAuthenticationResponse } = await import("@simplewebauthn/server");
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({
      response: {
        id,
        rawId: id,
        type: "public-key",
        clientExtensionResults: {},
        response: {
          clientDataJSON: response.clientDataJSON,
          authenticatorData: response.authenticatorData,
          signature: response.signature,
        },
      },
      expectedChallenge: challenge,
      expectedOrigin: origin,
      expectedRPID: new URL(origin).hostname,
      requireUserVerification: true,
      credential: { id: held.credentialId, publicKey: bytesOf(held.publicKey), counter: held.counter },
    });
    if (!verified) return null;
    return { counter: authenticationInfo.newCounter, backedUp: authenticationInfo.credentialBackedUp };
  } catch {
    return null;
  }
}

/** Whether the browser says that a page of another origin framed ours (attack 85), or says nothing that can be read. */
function isFramed(clientDataJSON: string): boolean {
  try {
    const said: unknown = JSON.parse(Buffer.from(clientDataJSON, "base64url").toString());
    return typeof said !== "object" || said === null || ("crossOrigin" in said && said.crossOrigin !== false);
  } catch {
    return true;
  }
}

function bytesOf(base64url: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(base64url, "base64url"));
}

/** An attestation object (§6.5.4) that says nothing, around what the authenticator said: CBOR, base64url. */
function withoutStatement(authData: Uint8Array): string {
  const text = (value: string) => Buffer.from([0x60 + value.length, ...Buffer.from(value)]);
  const length = Buffer.from([0x59, authData.byteLength >> 8, authData.byteLength & 0xff]);
  return Buffer.concat([
    ...[Buffer.from([0xa3]), text("fmt"), text("none"), text("attStmt"), Buffer.from([0xa0])],
    ...[text("authData"), length, authData],
  ]).toString("base64url");
}
