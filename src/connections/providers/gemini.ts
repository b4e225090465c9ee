import type { Provider } from "../provider.ts";

/** `@google/genai` sends `x-goog-api-key`, older SDKs and curl examples `?key=`, OpenAI-compatible clients a bearer token. */
export const gemini: Provider = {
  id: "gemini",
  name: "Google Gemini",
  baseUrl: "https://generativelanguage.googleapis.com",
  hosts: ["generativelanguage.googleapis.com"],
  tokenIn: [
    { in: "header", name: "x-goog-api-key" },
    { in: "query", name: "key" },
    { in: "header", name: "authorization", scheme: "Bearer" },
  ],
  credential: { kind: "header", name: "x-goog-api-key" },
  usage: {
    model: ["modelVersion"],
    units: {
      input: {
        at: ["usageMetadata.promptTokenCount", "usageMetadata.toolUsePromptTokenCount"],
        without: ["usageMetadata.cachedContentTokenCount"],
      },
      cached_input: { at: ["usageMetadata.cachedContentTokenCount"], pricedAs: "input" },
      output: { at: ["usageMetadata.candidatesTokenCount", "usageMetadata.thoughtsTokenCount"] },
    },
  },
  docs: "https://ai.google.dev/gemini-api/docs/api-key",
  probe: { method: "GET", path: "/v1beta/models" },
};
