import { DurableObject } from "cloudflare:workers";
import { hmacSha256 } from "../../src/base/digest.ts";
import { responseHeaders } from "../../src/gateway/headers.ts";
import { createRedactor, type Redactor } from "../../src/gateway/redact/redactor.ts";
import { type Envelope, openWith } from "../../src/vault/envelope.ts";

/** Each step does what those before it do, and one thing more; the last is what a call cannot do without. */
export const STEPS = ["bare", "hmac", "decrypt", "redact", "rpc", "write"] as const;

interface StepEnv {
  readonly STEP: string;
  readonly UPSTREAM: string;
  readonly CREDENTIAL: string;
  readonly SCOPED_TOKEN: DurableObjectNamespace<ScopedToken>;
}

/** As large as what a charge tells and a slot keeps. */
const EVENT = {
  event_type: "connection.called",
  resource_type: "connection",
  resource: "bench",
  actor: "agent:agt_000000000000000000000000",
  ip_address: "127.0.0.1",
  user_agent: null,
  outcome: "success",
  context: {
    reason: "bench",
    token_id: "tok_000000000000000000000000",
    request_id: "req_000000000000000000000000",
    method: "GET",
    path: "/v1/charges",
    host: "127.0.0.1:12345",
  },
};

/** Named as wrangler.toml names one, to get its binding. */
export class ScopedToken extends DurableObject {
  #seq = 0;

  async ask(_callId: string, _event: typeof EVENT): Promise<{ seq: number }> {
    return { seq: this.#seq };
  }

  async write(callId: string, event: typeof EVENT): Promise<{ seq: number }> {
    this.#seq += 1;
    const slot = { seq: this.#seq, callId, at: Date.now(), event };
    this.ctx.storage.kv.put(`slot:${this.#seq % 1_000}`, slot);
    return { seq: this.#seq };
  }
}

interface Prepared {
  readonly key: CryptoKey;
  readonly envelope: Envelope;
  readonly redactor: Redactor;
}

const BINDING = { tenantId: "ten_bench", path: "bench/upstream/API_KEY", version: 1 };
const MAC_KEY = new Uint8Array(32).fill(7);
let prepared: Promise<Prepared> | undefined;

async function prepare(credential: string): Promise<Prepared> {
  const plaintext = new TextEncoder().encode(credential);
  const raw = crypto.getRandomValues(new Uint8Array(32));
  const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
  const nonce = crypto.getRandomValues(new Uint8Array(12));
  const aad = JSON.stringify(["valetkey secret", 1, BINDING.tenantId, BINDING.path, BINDING.version]);
  const algorithm = { name: "AES-GCM", iv: nonce, additionalData: new TextEncoder().encode(aad) };
  const ciphertext = new Uint8Array(await crypto.subtle.encrypt(algorithm, key, plaintext));
  const envelope = { format: 1, nonce, ciphertext, wrapped: "", keyVersion: "" };
  return { key, envelope, redactor: createRedactor([plaintext]) };
}

export default {
  async fetch(request, env): Promise<Response> {
    const upTo = STEPS.findIndex((step) => step === env.STEP);
    const does = (step: (typeof STEPS)[number]): boolean => STEPS.indexOf(step) <= upTo;
    const { pathname, search } = new URL(request.url);
    const headers = new Headers(request.headers);
    let credential = env.CREDENTIAL;
    prepared ??= prepare(credential);
    const { key, envelope, redactor } = await prepared;
    if (does("hmac")) hmacSha256(MAC_KEY, new TextEncoder().encode(headers.get("authorization") ?? ""));
    if (does("rpc")) {
      const object = env.SCOPED_TOKEN.get(env.SCOPED_TOKEN.idFromName("bench"));
      const callId = crypto.randomUUID();
      await (does("write") ? object.write(callId, EVENT) : object.ask(callId, EVENT));
    }
    if (does("decrypt")) credential = (await openWith(key, BINDING, envelope)).reveal();
    headers.set("authorization", `Bearer ${credential}`);
    const upstream = await fetch(env.UPSTREAM + pathname + search, {
      method: request.method,
      headers,
      body: request.body,
      redirect: "manual",
    });
    if (!does("redact")) return upstream;
    const answer = responseHeaders(
      [...upstream.headers],
      (text) => redactor.text(text),
      (url) => url,
    );
    const body = redactor.whole(new Uint8Array(await upstream.arrayBuffer()));
    return new Response(body, { status: upstream.status, headers: answer });
  },
} satisfies ExportedHandler<StepEnv>;
