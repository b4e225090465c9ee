import type { Provider } from "../provider.ts";

/** Speech synthesis. */
export const elevenlabs: Provider = {
  id: "elevenlabs",
  name: "ElevenLabs",
  baseUrl: "https://api.elevenlabs.io",
  hosts: ["api.elevenlabs.io"],
  tokenIn: [{ in: "header", name: "xi-api-key" }],
  credential: { kind: "header", name: "xi-api-key" },
  docs: "https://elevenlabs.io/docs/api-reference/authentication",
  probe: { method: "GET", path: "/v1/user" },
};
