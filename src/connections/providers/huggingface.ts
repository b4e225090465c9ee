import type { Provider } from "../provider.ts";

/** The Hub; inference is a connection with `https://router.huggingface.co` as its base URL. */
export const huggingface: Provider = {
  id: "huggingface",
  name: "Hugging Face",
  baseUrl: "https://huggingface.co",
  hosts: ["huggingface.co", "router.huggingface.co"],
  tokenIn: [{ in: "header", name: "authorization", scheme: "Bearer" }],
  credential: { kind: "bearer" },
  docs: "https://huggingface.co/docs/hub/security-tokens",
  probe: { method: "GET", path: "/api/whoami-v2" },
};
