import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { childTokenRequestSchema } from "./child-schemas.ts";
import { childTokenSchema } from "./responses.ts";

const endpoint = declareFor<Api>();

/** `/v1/tokens/child`: tokens make narrower ones. */
export const childTokenEndpoints = [
  endpoint({
    method: "POST",
    path: "/v1/tokens/child",
    operationId: "issueChildToken",
    tag: "Tokens",
    summary: "Make a narrower token from the one that asks",
    description:
      "Costs no use. The child's uses are charged to the token that asks, and to those that it was made from, as well; it ends with any of them.",
    access: { token: true },
    quota: "tokens",
    body: childTokenRequestSchema,
    responses: { 201: childTokenSchema },
    errors: ["SCOPE_DENIED", "CONFLICT"],
    handler: async ({ caller, body, c }) => {
      const { token, grant } = await c.get("services").childTokens.mint(caller, body);
      return c.json(
        {
          token: token.reveal(),
          token_id: grant.tokenId,
          parent_id: caller.grant.tokenId,
          expires_at: new Date(grant.expiresAt).toISOString(),
          ...(grant.jkt === null ? {} : { token_type: "DPoP" }),
        },
        201,
      );
    },
  }),
];
