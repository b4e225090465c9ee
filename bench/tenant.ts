import { z } from "zod";
import { callApi } from "../local/api-client.ts";
import type { Gateway } from "../test/support/gateway.ts";

const SECRET = "bench/upstream/API_KEY";
const SCOPE = "connections:call:bench";

/** Where the gateway serves the bench's connection. */
export const BENCH_PATH = "/proxy/bench";

/** A fresh gateway's first tenant: one secret, one connection that leads to the upstream, one agent, one token. */
export async function openTenant(
  gateway: Gateway,
  upstream: { url: string; credential: string },
): Promise<{ token: string }> {
  const { url } = gateway;
  const post = { url, method: "POST" };
  const { admin_token } = await callApi(z.object({ admin_token: z.string() }), {
    ...post,
    path: "/v1/bootstrap",
    credential: gateway.bootstrapCredential,
    body: { name: "bench" },
  });
  await callApi(z.unknown(), {
    url,
    method: "PUT",
    path: `/v1/secrets/${SECRET}`,
    credential: admin_token,
    body: {
      value: upstream.credential,
      secret_type: "api_key",
      allowed_hosts: [new URL(upstream.url).host],
    },
  });
  await callApi(z.unknown(), {
    ...post,
    path: "/v1/connections",
    credential: admin_token,
    body: { slug: "bench", base_url: upstream.url, credential: { kind: "bearer" }, secret: SECRET },
  });
  const { api_key } = await callApi(z.object({ api_key: z.string() }), {
    ...post,
    path: "/v1/agents",
    credential: admin_token,
    body: { name: "bench", allowed_scopes: [SCOPE] },
  });
  return callApi(z.object({ token: z.string() }), {
    ...post,
    path: "/v1/tokens",
    credential: api_key,
    body: { scopes: [SCOPE], ttl: "2h", context: { reason: "bench" } },
  });
}
