import { z } from "zod";
import { timeSchema } from "../base/answer-parts.ts";
import { idSchema } from "../base/ids.ts";

const base64url = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^[A-Za-z0-9_-]+$/, "must be base64url without padding");

const credentialIdSchema = base64url(1_400);
const clientData = base64url(4_096);

/** The rest of what `toJSON()` gives (WebAuthn Level 3, §5.1): may be sent, and is not looked at. */
const unread = z.unknown().optional().describe("Not looked at.");
const credentialFields = {
  id: credentialIdSchema,
  rawId: unread,
  type: unread,
  authenticatorAttachment: unread,
  clientExtensionResults: unread,
};

/** What `navigator.credentials.create()` gave, by `toJSON()` (RegistrationResponseJSON). */
export const registrationInputSchema = z.strictObject({
  ...credentialFields,
  response: z.strictObject({
    clientDataJSON: clientData,
    attestationObject: base64url(40_000),
    transports: z
      .array(z.string().regex(/^[a-z-]{1,32}$/, 'must be a transport such as "internal"'))
      .max(10)
      .default([]),
    ...{ authenticatorData: unread, publicKey: unread, publicKeyAlgorithm: unread },
  }),
});
export type RegistrationInput = z.infer<typeof registrationInputSchema>;

/** What `navigator.credentials.get()` gave, by `toJSON()` (AuthenticationResponseJSON). */
export const assertionInputSchema = z.strictObject({
  ...credentialFields,
  response: z.strictObject({
    clientDataJSON: clientData,
    authenticatorData: base64url(2_048),
    signature: base64url(4_096),
    userHandle: base64url(128).nullish(),
    attestationObject: unread,
  }),
});
export type AssertionInput = z.infer<typeof assertionInputSchema>;

export const passkeyNameSchema = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .describe("What its owner calls it, such as the device it is on.");

export const codeSchema = z.string().min(1).max(100).describe("`vke_…`, as an admin handed it over.");

const credentialSchema = z.strictObject({
  type: z.literal("public-key"),
  id: z.string(),
  transports: z.array(z.string()),
});
const timeout = z.int().describe("Milliseconds that the person may take.");

/** For `PublicKeyCredential.parseCreationOptionsFromJSON()`. */
export const creationOptionsSchema = z
  .strictObject({
    challenge: z.string(),
    rp: z.strictObject({ id: z.string(), name: z.string() }),
    user: z.strictObject({ id: z.string(), name: z.string(), displayName: z.string() }),
    pubKeyCredParams: z.array(z.strictObject({ type: z.literal("public-key"), alg: z.int() })),
    timeout,
    attestation: z.literal("none"),
    authenticatorSelection: z.strictObject({
      residentKey: z.literal("required"),
      requireResidentKey: z.boolean(),
      userVerification: z.literal("required"),
    }),
    excludeCredentials: z.array(credentialSchema),
  })
  .meta({ id: "PasskeyCreationOptions" });

/** For `PublicKeyCredential.parseRequestOptionsFromJSON()`. */
export const requestOptionsSchema = z
  .strictObject({
    challenge: z.string(),
    rpId: z.string(),
    timeout,
    userVerification: z.literal("required"),
    allowCredentials: z.array(credentialSchema).describe("Empty: the person picks."),
  })
  .meta({ id: "PasskeyRequestOptions" });

export const passkeySchema = z
  .strictObject({
    id: idSchema("passkey"),
    member_id: idSchema("member"),
    name: z.string(),
    backed_up: z.boolean().describe("Kept by a provider that brings it to the person's other devices."),
    transports: z.array(z.string()),
    created_at: timeSchema,
    last_used_at: timeSchema.nullable(),
  })
  .meta({ id: "Passkey" });

export const passkeyListSchema = z.strictObject({ passkeys: z.array(passkeySchema) });

/** Who has just signed in; the session itself is in the cookie. */
export const signedInSchema = z.strictObject({
  member_id: idSchema("member"),
  tenant_id: idSchema("tenant"),
  expires_at: timeSchema.describe("When the session ends in any case."),
});

export const enrolmentSchema = z.strictObject({
  id: idSchema("enrolment"),
  member_id: idSchema("member"),
  code: z.string().describe("Shown this once, good once: `vke_…`. Whoever has it becomes the member."),
  url: z.url().describe("Where the person registers a passkey with it."),
  expires_at: timeSchema,
});
