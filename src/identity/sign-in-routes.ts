import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { idSchema } from "../base/ids.ts";
import { isFromAnotherSite, signInQuestion } from "./sign-in-question.ts";

const endpoint = declareFor<Api>();
const tag = "Sessions";

/** A path of our own: no other host by `//`, `/\` or a scheme, and none of a provider's pages. */
const returnToSchema = z
  .string()
  .max(1_000)
  .regex(/^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/, "must be a path of this gateway's, such as /approvals")
  // As it stands: what a browser would first make another path of (`/./auth`, `/%70roxy`) is not looked through.
  .refine(isAsWritten, "must be a path as a browser writes it")
  .refine((path) => !/^\/+(?:proxy|auth)(?:[/?#]|$)/i.test(path), "must be a page of this gateway's");

function isAsWritten(path: string): boolean {
  const base = "https://gateway.example";
  if (!URL.canParse(path, base)) return false;
  const { origin, pathname, href } = new URL(path, base);
  return origin === base && href === base + path && !(pathname.split("/")[1] ?? "").includes("%");
}

/** `/auth/sign-in` and where an issuer sends the browser back to. */
export const signInEndpoints = [
  endpoint({
    method: "GET",
    path: "/auth/sign-in",
    operationId: "beginSignIn",
    tag,
    summary: "Sign in with a browser",
    description:
      "Goes to the identity provider and comes back to its `redirect_uri`, which sets the session's cookie and goes to `return_to`. Whom another site sent here is asked first.",
    access: "public",
    query: z.strictObject({
      tenant: idSchema("tenant").optional().describe("May be left out by who is signed in."),
      provider: idSchema("identityProvider").optional().describe("May be left out where there is one."),
      return_to: returnToSchema.default("/"),
      fresh: z
        .enum(["0", "1"])
        .default("0")
        .describe("1: show anew who you are, for what needs a fresh sign-in."),
    }),
    responses: { 200: { media: { "text/html": null } }, 302: null },
    errors: ["NOT_FOUND"],
    handler: async ({ query, c }) => {
      const { sessions, signIns } = c.get("services");
      if (isFromAnotherSite(c.req.raw.headers)) {
        const asked = await signIns.asked(query.tenant, query.provider);
        const { pathname, search } = new URL(c.req.raw.url);
        return signInQuestion({ ...asked, path: pathname + search });
      }
      const token = sessions.cookie.read(c.req.raw.headers.get("cookie"));
      const current = token === null ? null : await sessions.authenticate(token);
      const { location, cookie } = await signIns.begin({
        tenantId: query.tenant ?? current?.tenantId,
        providerId: query.provider,
        returnTo: query.return_to,
        fresh: query.fresh === "1",
        replaces: current?.signIn.sessionId ?? null,
      });
      return new Response(null, { status: 302, headers: { location, "set-cookie": cookie } });
    },
  }),

  endpoint({
    method: "GET",
    path: "/auth/callback/{provider}",
    operationId: "finishSignIn",
    tag,
    summary: "Where the identity provider sends the browser back to",
    access: "public",
    params: z.strictObject({ provider: idSchema("identityProvider") }),
    query: z.object({
      code: z.string().max(4_096).optional(),
      state: z.string().max(512).optional(),
      iss: z.string().max(512).optional(),
    }),
    responses: { 302: null },
    errors: ["CSRF_REFUSED", "SIGN_IN_FAILED", "STEP_UP_REQUIRED", "NOT_FOUND"],
    handler: async ({ params, query, c }) => {
      const { signIns } = c.get("services");
      const { session, returnTo } = await signIns.finish({
        ...{ providerId: params.provider, code: query.code, state: query.state, iss: query.iss },
        cookies: c.req.raw.headers.get("cookie"),
        request: c.get("request"),
      });
      const headers = new Headers({ location: returnTo });
      headers.append("set-cookie", session.cookie);
      headers.append("set-cookie", signIns.cookie.clear());
      return new Response(null, { status: 302, headers });
    },
  }),
];
