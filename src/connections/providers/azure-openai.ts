import type { Provider } from "../provider.ts";

/** Every resource has a host of its own. A bearer token is what OpenAI's own client sends to the v1 API. */
export const azureOpenai: Provider = {
  id: "azure-openai",
  name: "Azure OpenAI",
  baseUrl: null,
  hosts: ["*.openai.azure.com"],
  tokenIn: [
    { in: "header", name: "api-key" },
    { in: "header", name: "authorization", scheme: "Bearer" },
  ],
  credential: { kind: "header", name: "api-key" },
  docs: "https://learn.microsoft.com/en-us/azure/ai-services/openai/reference",
  probe: { method: "GET", path: "/openai/v1/models" },
};
