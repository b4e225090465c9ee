import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import type { StoredEvent } from "../../../src/audit/event.ts";
import { send } from "../api/door.ts";
import { eventsOf, tokenObject } from "../failures/support.ts";
import { type SignedIn, signedIn } from "../support/signed-in.ts";
import { type Arrived, call, createTenant, isolate, type Tenant } from "../support/tenant.ts";

const real = env as Env;

/** An answer to an agent's call: `arrived` is what reached the upstream, null where the gateway answered itself. */
export interface CallAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly arrived: Arrived | null;
  // oxlint-disable-next-line typescript/no-explicit-any -- what comes over the wire has no type; tests say what it is.
  readonly body: any;
}

export interface Scene {
  readonly tenant: Tenant;
  readonly token: string;
  readonly tokenId: string;
  readonly person: SignedIn;
  /** A call of the token's through the connection `up`, on an isolate of its own: every change has reached it. */
  send(path?: string, init?: RequestInit): Promise<CallAnswer>;
  /** Asks for a call, and has people approve it. */
  approved(path?: string, init?: RequestInit): Promise<string>;
  approve(id: string, person?: SignedIn): Promise<void>;
  deny(id: string, reason: string): Promise<void>;
  uses(): Promise<number>;
  events(): Promise<StoredEvent[]>;
  /** Adds a policy that wants people's approval. Its id. */
  policy(policy?: Record<string, unknown>): Promise<string>;
}

export const REFUND: RequestInit = {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ charge: "ch_1", amount: 1250 }),
};

export async function openScene(
  policy: Record<string, unknown> | null = {},
  wanted: Record<string, unknown> = {},
): Promise<Scene> {
  const tenant = await createTenant();
  const addPolicy: Scene["policy"] = async (more = {}) => {
    const made = await tenant.services.policies.create(tenant.admin, {
      ...{ name: `policy ${crypto.randomUUID()}`, effect: "require_approval", connections: ["up"] },
      ...more,
    } as never);
    return made.policy.id;
  };
  if (policy !== null) await addPolicy(policy);
  const token = await tenant.token(wanted);
  const { tokenId } = await tenant.services.tokenUses.identify(token);
  const person = await signedIn(tenant.tenantId, "editor");
  const sendCall: Scene["send"] = async (path = "/v1/refunds", init = REFUND) => {
    const { response } = await call(`/proxy/up${path}`, token, init, isolate());
    return answered(response);
  };
  const approve: Scene["approve"] = async (id, by = person) => {
    const { status, text } = await send("POST", `/v1/approvals/${id}/approve`, {
      headers: by.headers,
      body: {},
    });
    if (status !== 200) throw new Error(`approving answered ${status} ${text}`);
  };
  return {
    ...{ tenant, token, tokenId, person, approve, policy: addPolicy, send: sendCall },
    async approved(path, init) {
      const { body } = await sendCall(path, init);
      if (body.error?.code !== "APPROVAL_REQUIRED") throw new Error(`not asked for: ${JSON.stringify(body)}`);
      await approve(body.approval_id);
      return body.approval_id;
    },
    async deny(id, reason) {
      const { status } = await send("POST", `/v1/approvals/${id}/deny`, {
        headers: person.headers,
        body: { reason },
      });
      if (status !== 200) throw new Error(`denying answered ${status}`);
    },
    uses: async () => (await tokenObject(tokenId).state()).uses,
    events: () => eventsOf(tenant.tenantId, tokenId),
  };
}

export async function answered(response: Response): Promise<CallAnswer> {
  const { status, headers } = response;
  const isOwn = headers.has("x-valetkey-error");
  const body: unknown = await response.json();
  return { status, headers, body, arrived: isOwn ? null : (body as Arrived) };
}

/** How many cases the tenant's desk holds. */
export function countCases({ tenant }: Scene): Promise<number> {
  const desk = real.APPROVAL_DESK.get(real.APPROVAL_DESK.idFromName(tenant.tenantId));
  return runInDurableObject(desk, async (object) => {
    const cases = await object.list({ status: null, kind: null, before: null, limit: 100 });
    return cases.length;
  });
}
