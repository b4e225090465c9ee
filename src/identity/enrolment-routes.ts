import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { idSchema } from "../base/ids.ts";
import { passkeyOrigin } from "../base/loopback.ts";
import { requireSameOrigin } from "../base/same-origin.ts";
import { renderSignedIn } from "./passkey-routes.ts";
import {
  codeSchema,
  creationOptionsSchema,
  enrolmentSchema,
  passkeyNameSchema,
  registrationInputSchema,
  signedInSchema,
} from "./passkey-schemas.ts";
import { emptySchema } from "./schemas.ts";

const endpoint = declareFor<Api>();
const tag = "Passkeys";

/** How people get their first passkey. */
export const enrolmentEndpoints = [
  endpoint({
    method: "POST",
    path: "/v1/members/{id}/enrolment",
    operationId: "createEnrolment",
    tag,
    summary: "A code with which a person registers a passkey",
    description:
      "Good for 15 minutes and once; an earlier one is void. Hand `url` to the person and to nobody else. Credentials for scripts make one for the first admin only.",
    access: { roles: ["admin"] },
    stepUp: true,
    // A kept answer would hold a code that makes whoever has it the member.
    idempotent: false,
    params: z.strictObject({ id: idSchema("member") }),
    body: emptySchema,
    responses: { 201: enrolmentSchema },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params, c }) => {
      const { enrolment, origin } = c.get("services");
      const { id, memberId, code, expiresAt } = await enrolment.create(caller, params.id);
      return c.json(
        {
          id,
          member_id: memberId,
          code: code.reveal(),
          // Behind the `#`, so that browsers send it to nobody and no log has it.
          url: `${passkeyOrigin(origin)}/auth/enrol#${code.reveal()}`,
          expires_at: new Date(expiresAt).toISOString(),
        },
        201,
      );
    },
  }),

  endpoint({
    method: "POST",
    path: "/auth/enrolment/options",
    operationId: "enrolmentOptions",
    tag,
    summary: "What to ask an authenticator for to use an enrolment code",
    access: "public",
    body: z.strictObject({ code: codeSchema }),
    responses: { 200: creationOptionsSchema },
    errors: ["CSRF_REFUSED", "UNAUTHORIZED"],
    handler: async ({ body: { code }, c }) => {
      const { enrolment, origin } = c.get("services");
      requireSameOrigin(c.req.raw, origin);
      const { options, cookie } = await enrolment.options(code);
      c.header("set-cookie", cookie);
      return c.json(options);
    },
  }),

  endpoint({
    method: "POST",
    path: "/auth/enrolment/verify",
    operationId: "enrol",
    tag,
    summary: "Register a first passkey with an enrolment code, and sign in",
    access: "public",
    body: z.strictObject({ code: codeSchema, name: passkeyNameSchema, credential: registrationInputSchema }),
    responses: { 201: signedInSchema },
    errors: ["CSRF_REFUSED", "UNAUTHORIZED", "NOT_FOUND"],
    handler: async ({ body: { code, name, credential }, c }) => {
      const { enrolment, challenges, origin } = c.get("services");
      requireSameOrigin(c.req.raw, origin);
      const cookies = c.req.raw.headers.get("cookie");
      const signedIn = await enrolment.complete(code, credential, name, cookies, c.get("request"));
      c.header("set-cookie", signedIn.session.cookie);
      c.header("set-cookie", challenges.cookie.clear(), { append: true });
      return c.json(renderSignedIn(signedIn), 201);
    },
  }),
];
