import { env } from "cloudflare:workers";
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { expect, it } from "vitest";
import worker from "../../../src/index.ts";

/** A request through the Worker's own door, over what the platform says it came. */
async function health(cf: Record<string, unknown> | undefined, bindings: Partial<Env>): Promise<string> {
  const context = createExecutionContext();
  const request = new Request("https://gateway.example.net/v1/health", cf === undefined ? {} : { cf });
  const known = { ...(env as Env), ENVIRONMENT: "production", PRIVATE_UPSTREAMS: undefined, ...bindings };
  const response = await worker.fetch(request as never, known as Env, context);
  await waitOnExecutionContext(context);
  const body: { error?: { code: string } } = await response.json();
  return `${response.status} ${body.error?.code ?? "ok"}`;
}

const REFUSED = "403 TLS_TOO_OLD";

it.each([
  ["TLSv1", REFUSED, REFUSED],
  ["TLSv1.1", REFUSED, REFUSED],
  ["TLSv1.2", "200 ok", REFUSED],
  ["TLSv1.3", "200 ok", "200 ok"],
  ["SSLv3", REFUSED, REFUSED],
  ["", REFUSED, REFUSED],
  ["TLSv1.4", REFUSED, REFUSED],
  ["toString", REFUSED, REFUSED],
  [undefined, REFUSED, REFUSED],
  [3, REFUSED, REFUSED],
])(
  "attack 89: over %j a deployment answers %s, and %s where it wants TLS 1.3",
  async (told, usual, strict) => {
    const cf = { tlsVersion: told };
    expect(await health(cf, {})).toBe(usual);
    expect(await health(cf, { MIN_TLS: "1.2" })).toBe(usual);
    expect(await health(cf, { MIN_TLS: "1.3" })).toBe(strict);
    expect(await health(cf, { MIN_TLS: "terminated" })).toBe("200 ok");
    expect(await health(cf, { ENVIRONMENT: "development" })).toBe("200 ok");
  },
);

it("attack 89: where the platform tells nothing of the connection, a deployment answers nothing", async () => {
  expect(await health(undefined, {})).toBe(REFUSED);
  expect(await health(undefined, { MIN_TLS: "off" })).toBe("500 MISCONFIGURED");
});
