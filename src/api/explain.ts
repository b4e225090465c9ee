import { z } from "zod";
import { canonicalAddress, isSharedAddress } from "../base/address.ts";
import { timeSchema } from "../base/answer-parts.ts";
import { declareFor } from "../base/endpoint.ts";
import { methodSchema } from "../base/glob.ts";
import { idSchema, type TokenId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { Explanation } from "../gateway/explain.ts";
import type { Check } from "../gateway/explain-trail.ts";
import type { AgentCaller, MemberCaller, TokenCaller } from "../identity/caller.ts";
import type { Api } from "./context.ts";

const endpoint = declareFor<Api>();

const questionSchema = z
  .strictObject({
    token: z.string().min(1).max(4096).optional().describe("The token with which the call would be made."),
    token_id: idSchema("token").optional().describe("Or its id. A token that asks needs neither."),
    method: methodSchema.default("GET"),
    url: z
      .string()
      .min(1)
      .max(65_536)
      .describe("The gateway's (`/proxy/stripe/v1/charges`, or whole), or the provider's own."),
    headers: z.record(z.string().max(200), z.string().max(16_384)).default({}),
    body: z.string().max(1_048_576).optional().describe("As text. A GET or HEAD has none."),
    ip_address: z
      .string()
      .max(64)
      .transform((text, context) => {
        const address = canonicalAddress(text);
        if (address !== null) return address;
        context.addIssue({ code: "custom", message: 'must be an address such as "192.0.2.7"' });
        return z.NEVER;
      })
      .optional()
      .describe("From where the call would come; left out: from where the question does."),
  })
  .refine(
    ({ token, token_id }) => token === undefined || token_id === undefined,
    "must have `token` or `token_id`",
  );
type Question = z.output<typeof questionSchema>;

/** All of them, which the compiler sees to: only types come from the gateway. */
const CHECKS = {
  ...{ address: "address", token: "token", scope: "scope", connection: "connection", request: "request" },
  ...{ rules: "rules", body: "body", references: "references", secrets: "secrets" },
  ...{ policies: "policies", permission: "permission" },
  ...{ proof: "proof", uses: "uses", rate: "rate", concurrency: "concurrency", budgets: "budgets" },
} as const satisfies { readonly [Name in Check]: Name };

const explanationSchema = z
  .strictObject({
    outcome: z
      .enum(["allowed", "refused", "needs_approval", "unknown"])
      .describe("`unknown`: whoever decides looks into the body, and the question has none."),
    status: z.int().nullable().describe("Of the gateway's refusal; null: the provider's answers."),
    code: z.string().nullable(),
    detail: z.string().nullable(),
    why: z.string().nullable().describe("What to do next; the same as the refused call says."),
    connection: z.string().nullable(),
    other_connections: z.array(z.string()).describe("More that lead to a provider's URL."),
    destination: z.strictObject({ host: z.string(), path: z.string() }).nullable(),
    scopes: z.array(z.strictObject({ scope: z.string(), matched: z.boolean() })),
    rules: z
      .strictObject({ connection: z.int().nullable(), token: z.int().nullable() })
      .describe("Which rule of `allow` lets the call through, by index."),
    policies: z
      .array(
        z.strictObject({
          id: idSchema("policy").nullable().describe("null: not told to agents, as is the version."),
          name: z.string(),
          version: z.int().nullable(),
          effect: z.enum(["allow", "deny", "require_approval"]),
          message: z.string().nullable(),
          cause: z.enum(["matched", "error"]).describe("`error`: it could not be evaluated."),
        }),
      )
      .describe("The policies that decide; none where nothing matched."),
    token: z.strictObject({
      token_id: idSchema("token"),
      expires_at: timeSchema,
      uses: z.int(),
      uses_left: z.int().nullable().describe("null: as many as fit its life."),
      ip_ok: z.boolean(),
    }),
    checks: z.array(
      z.strictObject({
        check: z.enum(CHECKS),
        ok: z.boolean().nullable().describe("null: not looked at."),
        detail: z.string().nullable(),
      }),
    ),
  })
  .meta({ id: "Explanation" });

/** `/v1/explain`: what would become of a call, without making it. */
export const explainEndpoints = [
  endpoint({
    method: "POST",
    path: "/v1/explain",
    operationId: "explainCall",
    tag: "Tokens",
    summary: "What would become of a call, and why",
    description:
      "Decided as the call itself would be. Nothing is charged, recorded or sent, and no secret is opened. An agent asks about its own tokens, a token about itself.",
    access: { roles: ["admin", "editor", "viewer"], agent: true, token: true },
    quota: "reads",
    idempotent: false,
    body: questionSchema,
    responses: { 200: explanationSchema },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, body, c }) => {
      const services = c.get("services");
      const { ip, sharedAddress, requestId } = c.get("request");
      const explanation = await services.explain.call({
        described: { method: body.method, url: body.url, headers: body.headers, body: body.body ?? null },
        grant: await grantFor(caller, body, c),
        token: body.token ?? null,
        client:
          body.ip_address === undefined
            ? { address: ip, shared: sharedAddress }
            : { address: body.ip_address, shared: isSharedAddress(body.ip_address) },
        requestId,
      });
      return c.json(render(explanation, caller.kind === "member"));
    },
  }),
];

/** Throws NOT_FOUND for whatever is not the caller's to ask about, whether it exists or not. */
async function grantFor(
  caller: MemberCaller | AgentCaller | TokenCaller,
  question: Question,
  c: Api["context"],
) {
  const services = c.get("services");
  const { token } = question;
  const claims = token === undefined ? null : services.explain.read(token);
  const asked: TokenId | undefined =
    claims?.tenantId === caller.tenantId ? claims.tokenId : question.token_id;
  const own = caller.kind === "token" ? caller.grant.tokenId : undefined;
  const wanted = asked ?? (token === undefined ? own : undefined);
  if (wanted === undefined && token === undefined) {
    throw new Problem("VALIDATION_ERROR", "The body must have `token` or `token_id`.");
  }
  if (wanted === undefined || (own !== undefined && wanted !== own)) {
    throw new Problem("NOT_FOUND", "There is no such token.");
  }
  if (caller.kind === "token") return caller.grant;
  return services.tokens.get(caller.tenantId, caller.kind === "agent" ? caller.agentId : null, wanted);
}

function render(explanation: Explanation, isMember: boolean) {
  const { refusal, token, checks, scopes, rules, policies } = explanation;
  return {
    outcome: explanation.outcome,
    status: refusal?.status ?? null,
    code: refusal?.code ?? null,
    detail: refusal?.message ?? null,
    why: refusal?.options.why ?? null,
    connection: explanation.connection,
    other_connections: explanation.others,
    destination: explanation.destination,
    scopes,
    rules,
    policies: policies.map(({ id, name, version, effect, message, cause }) => ({
      ...(isMember ? { id, version } : { id: null, version: null }),
      ...{ name, effect, message, cause },
    })),
    token: {
      token_id: token.tokenId,
      expires_at: new Date(token.expiresAt).toISOString(),
      uses: token.uses,
      uses_left: token.usesLeft,
      ip_ok: token.isAddressGood,
    },
    checks,
  };
}
