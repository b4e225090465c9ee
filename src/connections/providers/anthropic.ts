import type { Provider } from "../provider.ts";

/** The SDKs send `apiKey` as `x-api-key` and `authToken` as a bearer token; API keys belong in `x-api-key`. */
export const anthropic: Provider = {
  id: "anthropic",
  name: "Anthropic",
  baseUrl: "https://api.anthropic.com",
  hosts: ["api.anthropic.com"],
  tokenIn: [
    { in: "header", name: "x-api-key" },
    { in: "header", name: "authorization", scheme: "Bearer" },
  ],
  credential: { kind: "header", name: "x-api-key" },
  defaultHeaders: { "anthropic-version": "2023-06-01" },
  usage: {
    model: ["model", "message.model"],
    units: {
      // A stream tells it at its beginning, below `message`, and again, as it is then, at its end.
      input: { at: [["usage.input_tokens", "message.usage.input_tokens"]] },
      cached_input: {
        at: [["usage.cache_read_input_tokens", "message.usage.cache_read_input_tokens"]],
        pricedAs: "input",
      },
      cache_write: {
        at: [["usage.cache_creation_input_tokens", "message.usage.cache_creation_input_tokens"]],
        pricedAs: "input",
      },
      output: { at: [["usage.output_tokens", "message.usage.output_tokens"]] },
    },
  },
  docs: "https://docs.anthropic.com/en/api/overview",
  probe: { method: "GET", path: "/v1/models" },
  hints: [
    {
      method: "POST",
      path: "/v1/messages",
      title: "Ask {model}",
      fields: { model: { at: ["body.model"] }, max_tokens: { at: ["body.max_tokens"] } },
    },
    {
      method: "POST",
      path: "/v1/messages/batches",
      title: "Ask {model} in a batch",
      fields: { model: { at: ["body.requests[*].params.model"] } },
    },
  ],
};
