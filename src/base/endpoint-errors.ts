import { type EndpointData, scopeOf, takesIdempotencyKey } from "./endpoint.ts";
import type { ProblemCode } from "./problem.ts";

/** What anything can be answered with, whatever is asked for: before the endpoint is found, or where something failed. */
const EVERYWHERE: readonly ProblemCode[] = [
  "TLS_TOO_OLD",
  "URL_TOO_LONG",
  "HEADERS_TOO_LARGE",
  "LOOP_DETECTED",
  "RATE_LIMITED",
  "INTERNAL",
  "MISCONFIGURED",
  "UNAVAILABLE",
];

/** Every code an endpoint can refuse with: those it declares, and those that follow from its access and its input. */
export function errorsOf(endpoint: EndpointData): readonly ProblemCode[] {
  const { access, body, method, params, query, stepUp, trail, errors = [] } = endpoint;
  const codes: ProblemCode[] = [...errors];
  if (access !== "public") codes.push("UNAUTHORIZED");
  // A key's or token's own bounds are held against the request before its role is.
  const isAuthenticated = access === "any" || typeof access === "object";
  if (isAuthenticated) codes.push("ADDRESS_DENIED", "TENANT_FROZEN");
  if (isAuthenticated && method !== "GET") codes.push("CSRF_REFUSED");
  if (typeof access === "object") codes.push("ROLE_DENIED");
  if (stepUp) codes.push("STEP_UP_REQUIRED");
  if (trail) codes.push("TRAIL_SUSPENDED");
  if (scopeOf(endpoint) !== null) codes.push("SCOPE_DENIED", "USES_EXHAUSTED");
  if (params !== undefined || query !== undefined || body !== undefined) codes.push("VALIDATION_ERROR");
  if (body !== undefined) codes.push("JSON_TOO_DEEP", "BODY_TOO_LARGE", "BODY_TIMEOUT");
  if (takesIdempotencyKey(endpoint)) {
    codes.push("VALIDATION_ERROR", "IDEMPOTENCY_CONFLICT", "IDEMPOTENCY_IN_PROGRESS", "IDEMPOTENCY_UNKNOWN");
  }
  return [...new Set([...codes, ...EVERYWHERE])];
}
