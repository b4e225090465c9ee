import type { DeniedBy } from "./denied-by.ts";
import type { ApprovalId } from "./ids.ts";
import type { OAuthError } from "./oauth-codes.ts";

/** Every code a client can meet. Codes are stable: clients branch on them. */
const TABLE = {
  VALIDATION_ERROR: { status: 400, title: "The request is not valid" },
  JSON_TOO_DEEP: { status: 400, title: "The JSON is nested too deeply" },
  BODY_AMBIGUOUS: { status: 400, title: "The request can be read in more than one way" },
  PATH_REFUSED: { status: 400, title: "The request target is ambiguous" },
  HEADER_REFUSED: { status: 400, title: "A request header is not allowed" },
  EXCHANGE_REFUSED: { status: 400, title: "The subject token is not accepted" },
  UNAUTHORIZED: { status: 401, title: "No valid credential" },
  SIGN_IN_FAILED: { status: 401, title: "Not signed in" },
  SCOPE_DENIED: { status: 403, title: "Outside what this credential may do" },
  TLS_TOO_OLD: { status: 403, title: "The TLS version is too old" },
  ADDRESS_DENIED: { status: 403, title: "Not from this address" },
  USES_EXHAUSTED: { status: 403, title: "No uses left" },
  DESTINATION_DENIED: { status: 403, title: "The destination is not allowed" },
  CSRF_REFUSED: { status: 403, title: "This came from another site" },
  STEP_UP_REQUIRED: { status: 403, title: "Sign in again first" },
  ROLE_DENIED: { status: 403, title: "Your role does not allow this" },
  TRAIL_SUSPENDED: { status: 403, title: "You may read plaintext right now" },
  REVEAL_DENIED: { status: 403, title: "Reading plaintext is off" },
  POLICY_DENIED: { status: 403, title: "A policy does not allow this" },
  PERMISSION_DENIED: { status: 403, title: "Outside of what was permitted" },
  TENANT_FROZEN: { status: 403, title: "This tenant is frozen" },
  APPROVAL_REQUIRED: { status: 403, title: "A person must approve this" },
  APPROVAL_DENIED: { status: 403, title: "A person has denied this" },
  NOT_FOUND: { status: 404, title: "Not found" },
  SECRET_NOT_FOUND: { status: 404, title: "No such secret" },
  METHOD_NOT_ALLOWED: { status: 405, title: "Method not allowed" },
  NOT_ACCEPTABLE: { status: 406, title: "Not to be had in that form" },
  BODY_TIMEOUT: { status: 408, title: "The body took too long" },
  CONFLICT: { status: 409, title: "In conflict with what is there" },
  IDEMPOTENCY_IN_PROGRESS: { status: 409, title: "The same request is still running" },
  IDEMPOTENCY_UNKNOWN: { status: 409, title: "What became of this request is not known" },
  SECRET_EXPIRED: { status: 409, title: "The secret has expired" },
  SECRET_UNUSABLE: { status: 409, title: "The secret cannot be used for calls" },
  BODY_TOO_LARGE: { status: 413, title: "The body is too large" },
  URL_TOO_LONG: { status: 414, title: "The URL is too long" },
  IDEMPOTENCY_CONFLICT: { status: 422, title: "The idempotency key belongs to another request" },
  RATE_LIMITED: { status: 429, title: "Too many requests" },
  CONCURRENCY_LIMITED: { status: 429, title: "Too many calls at the same time" },
  BUDGET_EXCEEDED: { status: 429, title: "A budget is used up" },
  HEADERS_TOO_LARGE: { status: 431, title: "The headers are too large" },
  INTERNAL: { status: 500, title: "Something went wrong here" },
  UPSTREAM_FAILED: { status: 502, title: "The upstream could not be reached" },
  UPSTREAM_REFUSED: { status: 502, title: "The upstream answered in a way that cannot be passed on safely" },
  UNAVAILABLE: { status: 503, title: "Temporarily unavailable" },
  UPSTREAM_TIMEOUT: { status: 504, title: "The upstream did not answer in time" },
  LOOP_DETECTED: { status: 508, title: "The gateway was asked to call itself" },
  MISCONFIGURED: { status: 500, title: "This deployment is not configured safely" },
} as const;

export type ProblemCode = keyof typeof TABLE;

/** The HTTP status that a code is answered with. */
export function statusOf(code: ProblemCode): number {
  return TABLE[code].status;
}

/** What was wrong with a part of the input, and where in its text, from 1. */
export interface InputFault {
  readonly path: string;
  readonly message: string;
  readonly line?: number;
  readonly column?: number;
}

/** The approval that a call waits for, or that was denied. */
export interface ApprovalNotice {
  readonly id: ApprovalId;
  /** What else is told of it, as RFC 9457 extension members. */
  readonly members: Readonly<Record<string, string | number | boolean | null>>;
  /** The caller would have a 202: it prefers to come back. */
  readonly isAccepted: boolean;
}

export interface ProblemOptions {
  /** What was wrong with which part of the input; RFC 9457 extension members. Never a secret. */
  readonly errors?: readonly InputFault[];
  /** What to do next, for an agent or a person that can act on it. */
  readonly why?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** `error` of an OAuth answer, where the code alone does not say it (oauth-error.ts). */
  readonly oauth?: OAuthError;
  /** What people have to answer first: told by OAuth answers (oauth-error.ts). */
  readonly approvalId?: ApprovalId;
  /** The same, of a call. */
  readonly approval?: ApprovalNotice;
  /** Which of the tenant's rules refuses: for the trail alone, no caller is told it here. */
  readonly by?: DeniedBy;
  /** The budget that has too little left, and when it refills (ISO 8601; null: never). */
  readonly budget?: { readonly id: string; readonly name: string; readonly refillsAt: string | null };
  /** Although it failed here, surely nothing was changed: the same `Idempotency-Key` may come again. */
  readonly nothingDone?: true;
  readonly cause?: unknown;
}

/**
 * The one error that crosses rooms. `detail` is written for the caller and never holds a secret;
 * `cause` stays inside.
 */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly options: ProblemOptions;

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail, { cause: options.cause });
    this.name = "Problem";
    this.code = code;
    this.options = options;
  }

  get status(): number {
    return this.options.approval?.isAccepted === true ? 202 : TABLE[this.code].status;
  }
}

/** Renders a problem as RFC 9457 members plus `error: { code, message }` (the dialect of existing clients). */
export function renderProblem(problem: Problem, requestId: string, accept: string | null): Response {
  const { title } = TABLE[problem.code];
  const { status } = problem;
  const { errors, why, budget, approval, headers } = problem.options;
  // Under `error` as well: it is all that some SDKs keep of a refusal.
  const approvalId = approval ? { approval_id: approval.id } : {};
  const body = {
    type: `https://valetkey.dev/errors/${problem.code}`,
    title,
    status,
    detail: problem.message,
    instance: `urn:valetkey:request:${requestId}`,
    request_id: requestId,
    error: { code: problem.code, message: problem.message, ...approvalId },
    ...(errors ? { errors } : {}),
    ...(why ? { why } : {}),
    ...(budget ? { budget: { id: budget.id, name: budget.name }, refills_at: budget.refillsAt } : {}),
    ...(approval ? { ...approval.members, ...approvalId } : {}),
  };
  return new Response(JSON.stringify(body), {
    status,
    headers: {
      "content-type": accept?.includes("application/problem+json")
        ? "application/problem+json"
        : "application/json",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-request-id": requestId,
      ...headers,
    },
  });
}
