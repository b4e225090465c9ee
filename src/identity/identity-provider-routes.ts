import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { idSchema } from "../base/ids.ts";
import type { IdentityProvider } from "./identity-providers.ts";
import { identityProviderListSchema, identityProviderSchema } from "./responses.ts";
import { redirectUri } from "./sign-in.ts";
import { identityProviderCreateSchema, identityProviderPatchSchema } from "./schemas.ts";

const endpoint = declareFor<Api>();
const tag = "Identity providers";
const access = { roles: ["admin"] } as const;
const params = z.strictObject({ id: idSchema("identityProvider") });

/** `/v1/identity-providers`: who may say for a tenant who people are. */
export const identityProviderEndpoints = [
  endpoint({
    method: "POST",
    path: "/v1/identity-providers",
    operationId: "createIdentityProvider",
    tag,
    summary: "Let people sign in by an OpenID Connect issuer or Cloudflare Access",
    access,
    stepUp: true,
    body: identityProviderCreateSchema,
    responses: { 201: identityProviderSchema },
    errors: ["CONFLICT", "DESTINATION_DENIED"],
    handler: async ({ caller, body, c }) => {
      const { identityProviders, origin } = c.get("services");
      return c.json(render(await identityProviders.create(caller, body), origin), 201);
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/identity-providers",
    operationId: "listIdentityProviders",
    tag,
    summary: "By whom people sign in",
    access,
    responses: { 200: identityProviderListSchema },
    handler: async ({ caller, c }) => {
      const { identityProviders, origin } = c.get("services");
      const providers = await identityProviders.list(caller.tenantId);
      return c.json({ identity_providers: providers.map((provider) => render(provider, origin)) });
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/identity-providers/{id}",
    operationId: "getIdentityProvider",
    tag,
    summary: "One identity provider",
    access,
    params,
    responses: { 200: identityProviderSchema },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params: { id }, c }) => {
      const { identityProviders, origin } = c.get("services");
      return c.json(render(await identityProviders.get(caller.tenantId, id), origin));
    },
  }),

  endpoint({
    method: "PATCH",
    path: "/v1/identity-providers/{id}",
    operationId: "updateIdentityProvider",
    tag,
    summary: "Change an identity provider's name, client secret or domains",
    description: "Another issuer or client is another identity provider.",
    access,
    stepUp: true,
    params,
    body: identityProviderPatchSchema,
    responses: { 200: identityProviderSchema },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params: { id }, body, c }) => {
      const { identityProviders, origin } = c.get("services");
      return c.json(render(await identityProviders.update(caller, id, body), origin));
    },
  }),

  endpoint({
    method: "DELETE",
    path: "/v1/identity-providers/{id}",
    operationId: "deleteIdentityProvider",
    tag,
    summary: "Let nobody sign in by it any more, and end the sessions that began so",
    access,
    stepUp: true,
    params,
    responses: { 204: null },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params: { id }, c }) => {
      await c.get("services").identityProviders.delete(caller, id);
      return c.body(null, 204);
    },
  }),
];

function render(provider: IdentityProvider, origin: string) {
  const { id, tenantId, clientId } = provider;
  return {
    id,
    kind: provider.kind,
    name: provider.name,
    issuer: provider.issuer,
    client_id: clientId,
    confidential: provider.confidential,
    audience: provider.audience,
    allowed_email_domains: provider.allowedEmailDomains,
    trust_email: provider.trustEmail,
    redirect_uri: clientId === null ? null : redirectUri(origin, id),
    sign_in_url: clientId === null ? null : `${origin}/auth/sign-in?tenant=${tenantId}&provider=${id}`,
    created_at: new Date(provider.createdAt).toISOString(),
  };
}
