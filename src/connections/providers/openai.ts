import type { Provider } from "../provider.ts";
import { openaiUsage } from "./usage/openai.ts";

/** Regional hosts (`eu.api.openai.com`, `us.api.openai.com` …) are for projects with data residency. */
export const openai: Provider = {
  id: "openai",
  name: "OpenAI",
  baseUrl: "https://api.openai.com",
  hosts: ["api.openai.com", "*.api.openai.com"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  usage: openaiUsage,
  docs: "https://platform.openai.com/docs/api-reference/authentication",
  probe: { method: "GET", path: "/v1/models" },
  hints: [
    ...["/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/images/generations"].map((path) => ({
      method: "POST",
      path,
      title: "Ask {model}",
      fields: { model: { at: ["body.model"], missing: "the default model" }, count: { at: ["body.n"] } },
    })),
    {
      method: "POST",
      path: "/v1/fine_tuning/jobs",
      title: "Train {model} on {file}",
      fields: { model: { at: ["body.model"] }, file: { at: ["body.training_file"] } },
    },
    { method: "DELETE", path: "/v1/files/{file}", title: "Delete {file}" },
  ],
};
