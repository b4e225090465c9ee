/**
 * What no connection can set its limits above: beyond, the platform or the gateway itself refuses. URLs and headers
 * are held against these before it is known who calls, on every path. Bytes, seconds and counts, as the names say.
 */
export const CEILINGS = {
  max_body_bytes: 500_000_000,
  timeout_seconds: 600,
  body_idle_seconds: 300,
  body_seconds: 3_600,
  response_idle_seconds: 3_600,
  websocket_idle_seconds: 86_400,
  max_url_bytes: 16_384,
  max_headers: 256,
  max_header_bytes: 65_536,
  max_response_headers: 512,
  max_response_header_bytes: 131_072,
  max_json_depth: 1_000,
  max_expansion: 2_000,
  concurrent_calls: 1_000,
} as const;

/** What holds for a connection that says nothing else. `max_body_bytes` is then the platform's business. */
export const DEFAULT_LIMITS = {
  timeout_seconds: 120,
  body_idle_seconds: 30,
  /** Of a body that streams past. */
  body_seconds: 600,
  /** Of a body that is read whole before it goes on. */
  whole_body_seconds: 30,
  response_idle_seconds: 300,
  websocket_idle_seconds: 3_600,
  max_url_bytes: 16_384,
  max_headers: 100,
  max_header_bytes: 32_768,
  max_response_headers: 200,
  max_response_header_bytes: 65_536,
  max_json_depth: 100,
  max_expansion: 200,
  concurrent_calls: 100,
} as const;
