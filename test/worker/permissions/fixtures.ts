import { vi } from "vitest";
import { type Answer, outboxEmpty, newTenant, send } from "../api/door.ts";
import { type SignedIn, signedIn } from "../support/signed-in.ts";
import { type Arrived, call, isolate } from "../support/tenant.ts";

/** Refunds: at most 500 each, to one of the customers asked for, of the charge asked for. */
export const REFUND = {
  name: "payment.refund",
  description: "Give money back",
  calls: { connection: "up", methods: ["POST"], paths: ["/v1/refunds"] },
  constraints: {
    max_amount: { kind: "max_amount", field: "body.amount", cap: 500 },
    allowed_recipients: { kind: "one_of", field: "body.customer" },
  },
  resource_field: "body.charge",
};

/** What an agent asks for of it. */
export const WANTED = {
  action: "payment.refund",
  resource: "ch_1",
  scope: { max_amount: 100, allowed_recipients: ["cus_1"] },
  context: { reason: "the parcel was lost", triggered_by: "user_request" },
};

/** The call that it permits. */
export const CALL = { charge: "ch_1", customer: "cus_1", amount: 100 };

export interface Outcome {
  readonly status: number;
  /** The gateway's refusal; null: it arrived. */
  readonly code: string | null;
  readonly detail: string;
  readonly why: string;
  readonly arrived: Arrived | null;
}

/** A tenant with a secret, a connection `up`, an agent, and the actions of a test. */
export async function openOffice(actions: readonly object[] = [REFUND]) {
  const tenant = await newTenant();
  const { tenantId, admin: credential } = tenant;
  const editor = await signedIn(tenantId, "editor");
  const made = async (method: string, path: string, body: object): Promise<Answer> => {
    const answer = await send(method, path, { credential, body });
    if (answer.status >= 300) throw new Error(`${path}: ${answer.status} ${answer.text}`);
    return answer;
  };
  await made("PUT", "/v1/secrets/test/up/KEY", {
    value: "canary-9f3c1d7e5b2a4860-live-secret",
    allowed_hosts: ["127.0.0.1:9"],
  });
  const connect = (slug: string, over: object = {}) =>
    made("POST", "/v1/connections", {
      ...{ slug, base_url: "http://127.0.0.1:9/base", credential: { kind: "bearer" }, secret: "test/up/KEY" },
      ...over,
    });
  await connect("up");
  for (const action of actions) await made("POST", "/v1/actions", action);
  const newAgent = async (over: object = {}) => {
    const body = { name: "an agent", allowed_scopes: ["connections:call:*"], ...over };
    return (await made("POST", "/v1/agents", body)).body as { readonly id: string; readonly api_key: string };
  };
  const agent = await newAgent();
  const bindings = isolate();

  const ask = (wanted: object = WANTED, key = agent.api_key): Promise<Answer> =>
    send("POST", "/v1/permissions", { credential: key, body: wanted });
  const look = (id: string, query = "", key = agent.api_key): Promise<Answer> =>
    send("GET", `/v1/permissions/${id}${query}`, { credential: key });
  const approve = async (approvalId: string, body: object = {}, by: SignedIn = editor): Promise<Answer> =>
    send("POST", `/v1/approvals/${approvalId}/approve`, { headers: by.headers, body });

  /** Asks, has it approved, and collects it. */
  async function granted(wanted: object = WANTED, narrowing: object = {}): Promise<Answer["body"]> {
    const asked = await ask(wanted);
    if (asked.status !== 202) throw new Error(`not held, but: ${asked.status} ${asked.text}`);
    const approved = await approve(asked.body.approval_id, narrowing);
    if (approved.status !== 200) throw new Error(`approving: ${approved.status} ${approved.text}`);
    const { body, text } = await look(asked.body.id);
    if (typeof body.token !== "string") throw new Error(`no token: ${text}`);
    return body;
  }

  /** A call with a permission's token, on an isolate that every change has reached. */
  async function make(token: string, path: string, init: RequestInit = {}): Promise<Outcome> {
    const { response, settled } = await call(`/proxy/${path}`, token, init, bindings);
    const text = await response.text();
    await settled();
    const code = response.headers.get("x-valetkey-error");
    const body = JSON.parse(text) as Arrived & { readonly detail?: string; readonly why?: string };
    return {
      ...{ status: response.status, code, detail: body.detail ?? "", why: body.why ?? "" },
      arrived: code === null ? body : null,
    };
  }

  /** The events of a type, newest first. */
  async function trail(type: string) {
    await outboxEmpty();
    const { body } = await send("GET", `/v1/audit?event_type=${type}`, { credential: tenant.auditor });
    // oxlint-disable-next-line typescript/no-explicit-any -- what comes over the wire has no type.
    return body.events as readonly Record<string, any>[];
  }

  /** The event of a type about something, once it is there. */
  const line = (type: string, resource: string) =>
    vi.waitUntil(async () => (await trail(type)).find((event) => event["resource"] === resource), {
      timeout: 5_000,
    });

  return {
    ...{ tenant, tenantId, editor, agent, newAgent, connect, made, ask, look, approve, granted, make },
    ...{ trail, line },
    refund: (token: string, body: object = CALL) => make(token, "up/v1/refunds", json(body)),
  };
}

export type Office = Awaited<ReturnType<typeof openOffice>>;

/** A POST whose body goes out as it is. */
export function raw(body: string, type = "application/json"): RequestInit {
  return {
    method: "POST",
    headers: { "content-type": type },
    body: new TextEncoder().encode(body),
  };
}

export const json = (body: unknown): RequestInit => raw(JSON.stringify(body));
export const form = (body: string): RequestInit => raw(body, "application/x-www-form-urlencoded");
