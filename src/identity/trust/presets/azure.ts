import type { TrustPreset } from "../preset.ts";

const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * Microsoft Entra ID (managed identities, service principals). `tid` and `oid` are immutable. An application id alone
 * (`azp` in v2.0 tokens, `appid` in v1.0) also stands in tokens that the application gets for its users, so it counts
 * only together with `idtyp: app` (an optional claim of the receiving application). Issuers of v1.0 end in `/`.
 *
 * https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference
 */
export const azure: TrustPreset = {
  id: "azure",
  title: "Microsoft Entra ID",
  docs: "https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference",
  issuer:
    /^https:\/\/(?:login\.microsoftonline\.(?:com|us)\/[0-9a-f-]{36}\/v2\.0|sts\.windows\.net\/[0-9a-f-]{36}\/)$/,
  issuerExample: "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0",
  pins: [
    { tid: GUID, oid: GUID },
    { tid: GUID, azp: GUID, idtyp: /^app$/ },
    { tid: GUID, appid: GUID, idtyp: /^app$/ },
  ],
  foreignAudience: {
    form: /^api:\/\/AzureADTokenExchange|^https:\/\/(?:management|graph|vault)\.|^00000003-0000-0000-c000-000000000000$/,
    why: "tokens with this audience are made for Microsoft's own services",
  },
  advice:
    "Pin `tid` and `oid` (the principal's object id). Register an application of your own as the audience.",
};
