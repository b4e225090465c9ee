import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { idSchema } from "../base/ids.ts";
import { requireSameOrigin } from "../base/same-origin.ts";
import {
  assertionInputSchema,
  creationOptionsSchema,
  passkeyListSchema,
  passkeyNameSchema,
  passkeySchema,
  registrationInputSchema,
  requestOptionsSchema,
  signedInSchema,
} from "./passkey-schemas.ts";
import type { SignedIn } from "./passkey-sign-in.ts";
import type { Passkey } from "./passkeys.ts";
import { emptySchema } from "./schemas.ts";

const endpoint = declareFor<Api>();
const tag = "Passkeys";
const EVERYBODY = ["admin", "editor", "viewer", "auditor"] as const;
const person = { roles: EVERYBODY, person: true } as const;

/** Signing in by passkey, and the passkeys one has. */
export const passkeyEndpoints = [
  endpoint({
    method: "POST",
    path: "/auth/passkeys/sign-in/options",
    operationId: "passkeySignInOptions",
    tag,
    summary: "What to ask an authenticator for to sign in",
    description: "Sets a cookie that binds the answer to this browser, for 5 minutes.",
    access: "public",
    body: emptySchema,
    responses: { 200: requestOptionsSchema },
    errors: ["CSRF_REFUSED"],
    handler: ({ c }) => {
      const { passkeySignIns, origin } = c.get("services");
      requireSameOrigin(c.req.raw, origin);
      const { options, cookie } = passkeySignIns.options();
      c.header("set-cookie", cookie);
      return c.json(options);
    },
  }),

  endpoint({
    method: "POST",
    path: "/auth/passkeys/sign-in/verify",
    operationId: "passkeySignIn",
    tag,
    summary: "Sign in with an authenticator's answer",
    description:
      "Starts a new session; signed in already, it is a fresh one in its place. Whatever is wrong, the answer is the same.",
    access: "public",
    body: assertionInputSchema,
    responses: { 200: signedInSchema },
    errors: ["CSRF_REFUSED", "UNAUTHORIZED", "NOT_FOUND"],
    handler: async ({ body, c }) => {
      const { passkeySignIns, challenges, origin } = c.get("services");
      requireSameOrigin(c.req.raw, origin);
      const signedIn = await passkeySignIns.signIn(body, c.req.raw.headers.get("cookie"), c.get("request"));
      c.header("set-cookie", signedIn.session.cookie);
      c.header("set-cookie", challenges.cookie.clear(), { append: true });
      return c.json(renderSignedIn(signedIn));
    },
  }),

  endpoint({
    method: "POST",
    path: "/auth/passkeys/registration/options",
    operationId: "passkeyRegistrationOptions",
    tag,
    summary: "What to ask an authenticator for to have one more passkey",
    access: person,
    stepUp: true,
    // A kept answer would have another browser's challenge, or none.
    idempotent: false,
    body: emptySchema,
    responses: { 200: creationOptionsSchema },
    errors: ["CONFLICT"],
    handler: async ({ caller, c }) => {
      const { options, cookie } = await c.get("services").passkeys.additionOptions(caller);
      c.header("set-cookie", cookie);
      return c.json(options);
    },
  }),

  endpoint({
    method: "POST",
    path: "/auth/passkeys/registration/verify",
    operationId: "registerPasskey",
    tag,
    summary: "Register one more passkey",
    access: person,
    stepUp: true,
    idempotent: false,
    body: z.strictObject({ name: passkeyNameSchema, credential: registrationInputSchema }),
    responses: { 201: passkeySchema },
    errors: ["CONFLICT"],
    handler: async ({ caller, body: { name, credential }, c }) => {
      const { passkeys, challenges } = c.get("services");
      const added = await passkeys.add(caller, credential, name, c.req.raw.headers.get("cookie"));
      c.header("set-cookie", challenges.cookie.clear());
      return c.json(render(added), 201);
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/passkeys",
    operationId: "listPasskeys",
    tag,
    summary: "Your passkeys",
    access: { roles: EVERYBODY },
    responses: { 200: passkeyListSchema },
    handler: async ({ caller, c }) => {
      const own = await c.get("services").passkeys.list(caller);
      return c.json({ passkeys: own.map(render) });
    },
  }),

  endpoint({
    method: "DELETE",
    path: "/v1/passkeys/{id}",
    operationId: "deletePasskey",
    tag,
    summary: "Remove a passkey: yours, or as an admin anybody's",
    description: "Its owner's other sessions end with it. The last passkey of the last admin stays.",
    access: person,
    stepUp: true,
    params: z.strictObject({ id: idSchema("passkey") }),
    responses: { 204: null },
    errors: ["NOT_FOUND", "CONFLICT"],
    handler: async ({ caller, params, c }) => {
      await c.get("services").passkeys.remove(caller, params.id);
      return c.body(null, 204);
    },
  }),
];

function render(passkey: Passkey) {
  return {
    id: passkey.id,
    member_id: passkey.memberId,
    name: passkey.name,
    backed_up: passkey.backedUp,
    transports: passkey.transports,
    created_at: new Date(passkey.createdAt).toISOString(),
    last_used_at: passkey.lastUsedAt === null ? null : new Date(passkey.lastUsedAt).toISOString(),
  };
}

export function renderSignedIn({ tenantId, memberId, session }: SignedIn) {
  return {
    member_id: memberId,
    tenant_id: tenantId,
    expires_at: new Date(session.expiresAt).toISOString(),
  };
}
