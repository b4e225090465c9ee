/** `error` of RFC 6749 §5.2, RFC 8693 §2.2.2 and RFC 9449 §5; the last two are RFC 6749 §4.1.2.1's. */
export const OAUTH_ERRORS = [
  "invalid_request",
  "invalid_client",
  "unauthorized_client",
  "unsupported_grant_type",
  "invalid_scope",
  "invalid_target",
  "invalid_dpop_proof",
  "temporarily_unavailable",
  "server_error",
] as const;

export type OAuthError = (typeof OAUTH_ERRORS)[number];
