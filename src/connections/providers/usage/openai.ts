import type { UsagePlaces } from "../../../budgets/usage.ts";

/**
 * Chat completions, embeddings, and the Responses API, whose streams tell below `response`. A stream of chat completions
 * tells only where the request has `stream_options: {include_usage: true}`.
 */
export const openaiUsage: UsagePlaces = {
  model: ["model", "response.model"],
  units: {
    input: {
      at: [["usage.prompt_tokens", "usage.input_tokens", "response.usage.input_tokens"]],
      without: [
        "usage.prompt_tokens_details.cached_tokens",
        "usage.input_tokens_details.cached_tokens",
        "response.usage.input_tokens_details.cached_tokens",
      ],
    },
    cached_input: {
      at: [
        [
          "usage.prompt_tokens_details.cached_tokens",
          "usage.input_tokens_details.cached_tokens",
          "response.usage.input_tokens_details.cached_tokens",
        ],
      ],
      pricedAs: "input",
    },
    output: {
      at: [["usage.completion_tokens", "usage.output_tokens", "response.usage.output_tokens"]],
    },
  },
};
