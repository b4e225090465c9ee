import type { Api } from "../api/context.ts";
import { declareFor, FORM_MEDIA, JSON_MEDIA } from "../base/endpoint.ts";
import {
  ACCESS_TOKEN,
  authorizationServerSchema,
  exchangedSchema,
  exchangeSchema,
  protectedResourceSchema,
  revocationSchema,
  TOKEN_EXCHANGE,
} from "./oauth-schemas.ts";

const endpoint = declareFor<Api>();
const tag = "OAuth";

/** OAuth for workloads: they exchange what their platform gives them, and store nothing. */
export const oauthEndpoints = [
  endpoint({
    method: "POST",
    path: "/oauth/token",
    operationId: "exchangeToken",
    // By address, and whole fleets of runners have one: what is tried here are no guesses.
    quota: "public",
    tag,
    summary: "Exchange a workload's own token for a scoped one (RFC 8693)",
    description:
      "The subject token is what authenticates. Bound to the key of a `DPoP` proof where there is one (RFC 9449). Unlike RFC 6749 §3.2, parameters that are not known are refused: one that is misspelt would narrow nothing.",
    access: "public",
    body: exchangeSchema,
    bodyMedia: [FORM_MEDIA],
    responses: { 200: exchangedSchema },
    refusals: "oauth",
    errors: [
      "EXCHANGE_REFUSED",
      "CONFLICT",
      "SCOPE_DENIED",
      "APPROVAL_REQUIRED",
      "APPROVAL_DENIED",
      "POLICY_DENIED",
      "ADDRESS_DENIED",
      "TENANT_FROZEN",
    ],
    handler: async ({ body, c }) => {
      const { exchange, proofs } = c.get("services");
      const jkt = await proofs.keyOf(c.req.raw);
      const { token, grant } = await exchange.exchange(body, jkt, c.get("request"));
      return c.json({
        access_token: token.reveal(),
        issued_token_type: ACCESS_TOKEN,
        token_type: jkt === null ? "Bearer" : "DPoP",
        expires_in: Math.floor((grant.expiresAt - grant.issuedAt) / 1000),
        scope: grant.scopes.join(" "),
        token_id: grant.tokenId,
        expires_at: new Date(grant.expiresAt).toISOString(),
      });
    },
  }),

  endpoint({
    method: "POST",
    path: "/oauth/revoke",
    operationId: "revokeOwnToken",
    tag,
    summary: "Revoke a token by its text (RFC 7009)",
    description:
      "By the token itself, a key of its agent, or an admin or editor of its tenant. What is not live, or not the caller's to revoke, is answered with 200 as well, and left alone.",
    access: { roles: ["admin", "editor"], agent: true, token: true },
    body: revocationSchema,
    bodyMedia: [FORM_MEDIA, JSON_MEDIA],
    responses: { 200: null },
    refusals: "oauth",
    handler: async ({ caller, body, c }) => {
      await c.get("services").tokens.revokeByText(caller, body.token);
      return c.body(null, 200);
    },
  }),

  endpoint({
    method: "GET",
    path: "/.well-known/oauth-authorization-server",
    operationId: "getAuthorizationServer",
    tag,
    summary: "What this gateway is as an authorization server (RFC 8414)",
    access: "public",
    responses: { 200: authorizationServerSchema },
    handler: ({ c }) => {
      const { origin, proofs } = c.get("services");
      return c.json({
        issuer: origin,
        token_endpoint: `${origin}/oauth/token`,
        token_endpoint_auth_methods_supported: ["none"],
        grant_types_supported: [TOKEN_EXCHANGE],
        response_types_supported: [],
        revocation_endpoint: `${origin}/oauth/revoke`,
        introspection_endpoint: `${origin}/oauth/introspect`,
        dpop_signing_alg_values_supported: proofs.algorithms,
      });
    },
  }),

  endpoint({
    method: "GET",
    path: "/.well-known/oauth-protected-resource",
    operationId: "getProtectedResource",
    tag,
    summary: "What this gateway is as a protected resource (RFC 9728)",
    access: "public",
    responses: { 200: protectedResourceSchema },
    handler: ({ c }) => {
      const { origin, proofs } = c.get("services");
      return c.json({
        resource: origin,
        resource_name: "Valetkey",
        authorization_servers: [origin],
        bearer_methods_supported: ["header"],
        dpop_signing_alg_values_supported: proofs.algorithms,
        dpop_bound_access_tokens_required: false,
      });
    },
  }),
];
