import type { Provider } from "../provider.ts";

/** `api.pinecone.io` is the control plane; every index has a host of its own below `*.svc.….pinecone.io`. */
export const pinecone: Provider = {
  id: "pinecone",
  name: "Pinecone",
  baseUrl: "https://api.pinecone.io",
  hosts: ["api.pinecone.io", "*.pinecone.io"],
  tokenIn: [{ in: "header", name: "api-key" }],
  credential: { kind: "header", name: "Api-Key" },
  docs: "https://docs.pinecone.io/reference/api/authentication",
  probe: { method: "GET", path: "/indexes" },
};
