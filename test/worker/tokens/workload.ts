import { vi } from "vitest";
import { type AgentId, newId } from "../../../src/base/ids.ts";
import type { Algorithm } from "../../../src/identity/oidc/algorithms.ts";
import { type Answer, newTenant, send } from "../api/door.ts";
import { IssuerDocuments, type SigningKey, signingKey, tokenOf } from "../identity/oidc/issuer-documents.ts";

export const AUDIENCE = "https://valetkey.example.com";
export const JWT = "urn:ietf:params:oauth:token-type:jwt";
export const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const FORM = { "content-type": "application/x-www-form-urlencoded" };

let issuersMade = 0;

/** An issuer on the internet as the gateway sees it, with a name of its own, since keys are kept per issuer. */
export class Issuer {
  readonly url: string;
  readonly key: SigningKey;
  readonly documents: IssuerDocuments;

  private constructor(key: SigningKey, url: string) {
    this.url = url;
    this.key = key;
    this.documents = new IssuerDocuments(key);
    this.documents.metadata = { issuer: url, jwks_uri: `${url}/keys` };
    const beyond = globalThis.fetch;
    vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      const asked = new Request(input, init);
      if (!asked.url.startsWith(`${url}/`)) return beyond(input, init);
      return this.documents.fetch(asked.url, { redirect: "manual", signal: asked.signal, headers: {} });
    });
  }

  static async open(algorithm: Algorithm = "ES256", url?: string): Promise<Issuer> {
    issuersMade += 1;
    return new Issuer(
      await signingKey(algorithm, "k"),
      url ?? `https://issuer-${issuersMade}-${newId("request").slice(4, 12)}.example.com`,
    );
  }

  /** A live token of a workload, changed by `claims` and `header`. */
  token(claims: Readonly<Record<string, unknown>> = {}, header: Readonly<Record<string, unknown>> = {}) {
    return tokenOf(this.key, { ...this.claims(), ...claims }, header);
  }

  claims(): Record<string, unknown> {
    const now = Math.floor(Date.now() / 1000);
    return { iss: this.url, aud: AUDIENCE, sub: "workload-1", iat: now - 10, nbf: now - 10, exp: now + 600 };
  }
}

export interface Trusting {
  readonly tenant: Awaited<ReturnType<typeof newTenant>>;
  readonly agentId: AgentId;
  readonly apiKey: string;
  readonly issuer: Issuer;
  /** A rule for the issuer's `workload-1`, changed by `rule`. */
  trust(rule?: object): Promise<Answer>;
  /** An exchange for `connections:call:up`, changed by `form` (undefined leaves a field out). */
  exchange(
    subjectToken: string,
    form?: Readonly<Record<string, string | undefined>>,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answer>;
}

/** A tenant with an agent that trusts nobody yet, and an issuer. */
export async function openTrusting(agent: object = {}, issuer?: Issuer): Promise<Trusting> {
  const tenant = await newTenant();
  const body = { name: "ci", allowed_scopes: ["connections:call:*", "secrets:use:*"], ...agent };
  const made = await send("POST", "/v1/agents", { credential: tenant.admin, body });
  const { id, api_key } = made.body as { id: AgentId; api_key: string };
  const own = issuer ?? (await Issuer.open());
  const rule = { name: "ci", issuer: own.url, audience: AUDIENCE, subject: "workload-1" };
  return {
    tenant,
    agentId: id,
    apiKey: api_key,
    issuer: own,
    trust: (over = {}) =>
      send("POST", `/v1/agents/${id}/trust`, { credential: tenant.admin, body: { ...rule, ...over } }),
    exchange: (subjectToken, form = {}, headers = {}) => exchangeAs(id, subjectToken, form, headers),
  };
}

export function exchangeAs(
  clientId: string,
  subjectToken: string,
  form: Readonly<Record<string, string | undefined>> = {},
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const fields = {
    grant_type: EXCHANGE,
    client_id: clientId,
    subject_token: subjectToken,
    subject_token_type: JWT,
    scope: "connections:call:up",
    ...form,
  };
  const given = Object.entries(fields).filter((field): field is [string, string] => field[1] !== undefined);
  const body = new URLSearchParams(given).toString();
  return send("POST", "/oauth/token", { body, headers: { ...FORM, ...headers } });
}
