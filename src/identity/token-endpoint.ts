import type { Redacted } from "../base/redacted.ts";
import { type CheckDestination, SourceError } from "./oidc/issuer.ts";
import { parseStrictObject } from "./oidc/strict-json.ts";
import { readStream } from "../base/request.ts";

const MAX_BYTES = 100_000;
const TIMEOUT_MS = 10_000;

/** The platform's fetch, or one that tests own. */
export type Post = (
  url: string,
  init: {
    readonly method: "POST";
    readonly redirect: "manual";
    readonly signal: AbortSignal;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  },
) => Promise<Response>;

export interface CodeExchange {
  readonly endpoint: string;
  readonly clientId: string;
  /** Null: a public client. */
  readonly clientSecret: Redacted | null;
  /** `token_endpoint_auth_methods_supported`; Basic where it says nothing (OpenID Connect Discovery §3). */
  readonly authMethods: readonly string[];
  readonly code: string;
  readonly redirectUri: string;
  readonly verifier: string;
}

/**
 * Redeems an authorization code for an ID token (RFC 6749 §4.1.3, RFC 7636 §4.5); null where the issuer refuses it.
 * The other tokens are not looked at. Throws SourceError where the endpoint may not be asked or does not answer.
 */
export async function redeemCode(
  exchange: CodeExchange,
  { post, checkDestination }: { readonly post: Post; readonly checkDestination: CheckDestination },
): Promise<string | null> {
  const { endpoint, clientId, clientSecret, authMethods, code, redirectUri, verifier } = exchange;
  try {
    checkDestination(endpoint.split("?", 1)[0] ?? "");
  } catch (cause) {
    throw new SourceError("destination_refused", cause);
  }
  const form = new URLSearchParams({
    grant_type: "authorization_code",
    code,
    redirect_uri: redirectUri,
    code_verifier: verifier,
    client_id: clientId,
  });
  const headers: Record<string, string> = {
    accept: "application/json",
    "content-type": "application/x-www-form-urlencoded",
  };
  if (clientSecret !== null) {
    if (authMethods.includes("client_secret_basic") || !authMethods.includes("client_secret_post")) {
      headers["authorization"] = basic(clientId, clientSecret);
    } else {
      form.set("client_secret", clientSecret.reveal());
    }
  }
  let text: string;
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await post(endpoint, {
      ...{ method: "POST", redirect: "manual", signal, headers, body: form.toString() },
    });
    if (response.status !== 200) {
      await response.body?.cancel();
      if (response.status === 400 || response.status === 401) return null;
      throw new SourceError("status");
    }
    const times = { idleMs: TIMEOUT_MS, totalMs: TIMEOUT_MS };
    text = new TextDecoder().decode(await readStream(response.body, 0, MAX_BYTES, times));
  } catch (cause) {
    throw cause instanceof SourceError ? cause : new SourceError("unreachable");
  }
  const idToken = parseStrictObject(text)?.["id_token"];
  return typeof idToken === "string" ? idToken : null;
}

/** RFC 6749 §2.3.1: both are form-encoded before they are put together. */
function basic(clientId: string, clientSecret: Redacted): string {
  const encode = (text: string): string => new URLSearchParams({ v: text }).toString().slice(2);
  return `Basic ${btoa(`${encode(clientId)}:${encode(clientSecret.reveal())}`)}`;
}
