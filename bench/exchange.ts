import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { z } from "zod";
import { callApi } from "../local/api-client.ts";
import { startGateway } from "../test/support/gateway.ts";
import { AUDIENCE, signingJwk, startWorkloadIssuer } from "../test/support/workload-issuer.ts";
import { quantile } from "./statistics.ts";

const USAGE = `node bench/exchange.ts [options]

  --samples N  exchanges (200, at most 5000)
  --json       the numbers, as JSON on stdout

How long POST /oauth/token takes: a real authorization server issues the workloads' tokens, the gateway verifies each,
issues one of its own and records it. One after the other, each subject token used once; the first, which fetches the
issuer's keys, is told apart.`;

const MAX_SAMPLES = 5_000;
const exchangedSchema = z.object({ access_token: z.string() });

interface Measured {
  readonly samples: number;
  readonly firstMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      samples: { type: "string", default: "200" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const samples = Number(values.samples);
  if (values.help || !Number.isInteger(samples) || samples < 1 || samples > MAX_SAMPLES) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  const measured = await measure(samples);
  const { firstMs, p50Ms, p95Ms } = measured;
  const text = `exchange  p50 ${p50Ms} ms, p95 ${p95Ms} ms over ${samples}; the first, with the issuer's keys, ${firstMs} ms`;
  console.log(values.json ? JSON.stringify(measured) : text);
  return 0;
}

async function measure(samples: number): Promise<Measured> {
  // The authorization server says at every start that it is set up for development.
  const { info, warn } = console;
  Object.assign(console, { info: () => undefined, warn: () => undefined });
  const [gateway, issuer] = await Promise.all([startGateway(), startWorkloadIssuer([await signingJwk("k")])]);
  Object.assign(console, { info, warn });
  try {
    const agentId = await trustingAgent(gateway.url, gateway.bootstrapCredential, issuer.url);
    const times: number[] = [];
    for (let n = 0; n <= samples; n++) {
      const subjectToken = await issuer.token();
      const startedAt = performance.now();
      await exchange(gateway.url, agentId, subjectToken);
      times.push(performance.now() - startedAt);
    }
    const [first = Number.NaN, ...later] = times;
    const rounded = (ms: number): number => Math.round(ms * 100) / 100;
    return {
      samples,
      firstMs: rounded(first),
      p50Ms: rounded(quantile(later, 0.5)),
      p95Ms: rounded(quantile(later, 0.95)),
    };
  } finally {
    await Promise.all([gateway.stop(), issuer.close()]);
  }
}

async function trustingAgent(url: string, bootstrap: string, issuer: string): Promise<string> {
  const post = { url, method: "POST" };
  const { admin_token } = await callApi(z.object({ admin_token: z.string() }), {
    ...{ ...post, path: "/v1/bootstrap", credential: bootstrap, body: { name: "bench" } },
  });
  const { id } = await callApi(z.object({ id: z.string() }), {
    ...{ ...post, path: "/v1/agents", credential: admin_token },
    body: { name: "bench", allowed_scopes: ["connections:call:*"] },
  });
  await callApi(z.unknown(), {
    ...{ ...post, path: `/v1/agents/${id}/trust`, credential: admin_token },
    body: { name: "bench", issuer, audience: AUDIENCE, subject: "workload" },
  });
  return id;
}

async function exchange(url: string, agentId: string, subjectToken: string): Promise<void> {
  const response = await fetch(`${url}/oauth/token`, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      client_id: agentId,
      subject_token: subjectToken,
      subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
      scope: "connections:call:bench",
    }),
    signal: AbortSignal.timeout(20_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`the exchange answered ${response.status} ${text.slice(0, 300)}`);
  exchangedSchema.parse(JSON.parse(text));
}

process.exitCode = await main();
