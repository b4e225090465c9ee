/** Header names (lower case) and values, as they are sent. */
export type SentHeaders = Iterable<readonly [name: string, value: string]>;

/**
 * What an approval of a call does not cover: headers that SDKs draw anew for every attempt, or that speak of the client
 * and not of the call. Were they covered, the same call could never come again. Whatever is not named here is covered.
 * Each is safe because no provider of the catalogue lets it say what the call does, to whom, or how often:
 */
const UNCOVERED = new Set([
  // Who made the request, in words. Providers log it.
  "user-agent",
  "x-stripe-client-user-agent",
  "x-goog-api-client",
  "x-amz-user-agent",
  // How long earlier requests took.
  "x-stripe-client-telemetry",
  // Drawn anew for every attempt by stripe-node among others. An old key can only make the provider repeat an earlier
  // answer instead of acting; with a new one it acts once, as was approved: the gateway lets the call through once.
  "idempotency-key",
  "paypal-request-id",
  "i-twilio-idempotency-token",
  // Names of a request, for logs.
  "request-id",
  "x-request-id",
  "x-correlation-id",
  "x-client-request-id",
  "x-ms-client-request-id",
  "x-amzn-trace-id",
  "x-cloud-trace-context",
  // Which attempt it is.
  "amz-sdk-invocation-id",
  "amz-sdk-request",
  // Where a trace is to be continued (W3C Trace Context and Baggage, B3, Sentry).
  "traceparent",
  "tracestate",
  "baggage",
  "b3",
  "sentry-trace",
  // The client's clock.
  "date",
  // Set by the gateway, the same for every call.
  "accept-encoding",
  "via",
  // Said by the body, which is covered byte by byte.
  "content-length",
]);

/** The language, version, platform and attempt of generated SDKs (OpenAI's, Anthropic's); B3's single fields. */
const UNCOVERED_PREFIXES = ["x-stainless-", "x-b3-"];

/** The headers that an approval of a call covers, by name. */
export function coveredHeaders(headers: SentHeaders): readonly (readonly [name: string, value: string])[] {
  const covered: (readonly [string, string])[] = [];
  for (const [name, value] of headers) {
    if (UNCOVERED.has(name) || UNCOVERED_PREFIXES.some((prefix) => name.startsWith(prefix))) continue;
    covered.push([name, value]);
  }
  return covered.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}
