import { z } from "zod";
import { idSchema } from "./ids.ts";
import { OAUTH_ERRORS, type OAuthError } from "./oauth-codes.ts";
import { type Problem, type ProblemCode, statusOf } from "./problem.ts";

/** The body of a refusal at an OAuth endpoint (RFC 6749 §5.2), with what the other endpoints tell. */
export const oauthErrorSchema = z
  .strictObject({
    error: z.enum(OAUTH_ERRORS).describe("The RFC's."),
    error_description: z.string(),
    code: z.string().describe("The gateway's own, as in `Problem`: it tells more."),
    request_id: z.string(),
    approval_id: idSchema("approval").optional().describe("What people have to answer first."),
  })
  .meta({ id: "OAuthError" });

/** What a schema says of a `grant_type` that is none of its own. */
export const UNSUPPORTED_GRANT_TYPE = "is not a grant type that is supported here";

function errorOf({ code, options }: Problem): OAuthError {
  if (options.oauth !== undefined) return options.oauth;
  if (options.errors?.some(({ message }) => message === UNSUPPORTED_GRANT_TYPE)) {
    return "unsupported_grant_type";
  }
  if (code === "SCOPE_DENIED") return "invalid_scope";
  const status = statusOf(code);
  if (status === 401) return "invalid_client";
  if (status === 403) return "unauthorized_client";
  if (status === 429 || status === 503) return "temporarily_unavailable";
  return status >= 500 ? "server_error" : "invalid_request";
}

/** The status of a code at an OAuth endpoint: its own, but 400 for a scope (RFC 6749 §5.2). */
export function oauthStatusOf(code: ProblemCode): number {
  return code === "SCOPE_DENIED" ? 400 : statusOf(code);
}

/** Renders a problem as RFC 6749 §5.2 has it. */
export function renderOAuthError(problem: Problem, requestId: string): Response {
  const { approvalId, why, headers } = problem.options;
  const description = why === undefined ? problem.message : `${problem.message} ${why}`;
  const body = {
    error: errorOf(problem),
    error_description: plain(description),
    code: problem.code,
    request_id: requestId,
    ...(approvalId === undefined ? {} : { approval_id: approvalId }),
  };
  return new Response(JSON.stringify(body), {
    status: oauthStatusOf(problem.code),
    headers: {
      "content-type": "application/json",
      "cache-control": "no-store",
      pragma: "no-cache",
      "x-content-type-options": "nosniff",
      "x-request-id": requestId,
      ...headers,
    },
  });
}

/** RFC 6749 §5.2: printable ASCII without `"` and `\`. */
function plain(text: string): string {
  return text.replaceAll('"', "'").replaceAll(/[^\x20-\x5b\x5d-\x7e]/g, "?");
}
