import type { Provider } from "../provider.ts";

/** Attachments are uploaded to `content.airtable.com`. */
export const airtable: Provider = {
  id: "airtable",
  name: "Airtable",
  baseUrl: "https://api.airtable.com",
  hosts: ["api.airtable.com", "content.airtable.com"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://airtable.com/developers/web/api/authentication",
  probe: { method: "GET", path: "/v0/meta/whoami" },
};
