import { type Endpoint, takesIdempotencyKey } from "../base/endpoint.ts";

/** Headers of answers, as components. */
export const HEADERS = {
  "X-Request-Id": {
    description: "The request's id: name it when you report something.",
    required: true,
    schema: { type: "string", pattern: "^req_[0-9a-f]{24}$" },
  },
  RateLimit: {
    description: "What is left of the quota that applies (draft-ietf-httpapi-ratelimit-headers).",
    schema: { type: "string" },
  },
  "RateLimit-Policy": { description: "The quotas that apply.", schema: { type: "string" } },
  "Retry-After": { description: "Seconds to wait.", schema: { type: "integer", minimum: 0 } },
  "WWW-Authenticate": { description: "RFC 6750.", schema: { type: "string" } },
  "Idempotency-Replayed": {
    description: "`true`: this was done before, with the same `Idempotency-Key`; the answer is that of then.",
    schema: { type: "string", const: "true" },
  },
  "Preference-Applied": {
    description: "`wait`: the change holds everywhere (RFC 7240).",
    schema: { type: "string", const: "wait" },
  },
  "X-Valetkey-Effective-At": {
    description: "From when on no call anywhere is decided without this change.",
    required: true,
    schema: { type: "string", format: "date-time" },
  },
} as const;

/** Those that an answer of an endpoint, or a refusal (null), may have; `required` ones always stand there. */
export function headersOf(
  endpoint: Endpoint | null,
  status: number,
): Readonly<Record<string, { readonly $ref: string }>> {
  const names: (keyof typeof HEADERS)[] = ["X-Request-Id", "RateLimit", "RateLimit-Policy"];
  if ([409, 429, 503].includes(status) && endpoint === null) names.push("Retry-After");
  if (status === 401) names.push("WWW-Authenticate");
  if (endpoint !== null && takesIdempotencyKey(endpoint)) names.push("Idempotency-Replayed");
  if (endpoint?.change) names.push("Preference-Applied");
  if (endpoint?.change && status === 204) names.push("X-Valetkey-Effective-At");
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}
