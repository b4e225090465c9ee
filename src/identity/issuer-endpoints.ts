import { BoundedCache } from "../base/cache.ts";
import type { Clock } from "../base/clock.ts";
import { Problem } from "../base/problem.ts";
import { discover, type Fetch, keysUriSchema, SourceError } from "./oidc/issuer.ts";
import type { VerifyDependencies } from "./oidc/verify.ts";

/** What an issuer says of itself, as far as signing in takes it. */
export interface IssuerEndpoints {
  readonly authorization: string;
  readonly token: string;
  readonly authMethods: readonly string[];
  /** RFC 9207: it names itself on the way back. */
  readonly namesItself: boolean;
}

/** Per isolate: issuers' metadata, so that who asks to sign in a thousand times asks the issuer once. */
export type IssuerMemory = BoundedCache<string, { readonly endpoints: IssuerEndpoints; readonly at: number }>;

export const issuerMemory = (): IssuerMemory => new BoundedCache(100);

const ENDPOINTS_FRESH_MS = 600_000;
const TIMEOUT_MS = 5_000;

/** Where an issuer takes browsers and codes. Throws UNAVAILABLE where it does not say so, or leads where nothing may go. */
export async function issuerEndpoints(
  issuer: string,
  parts: {
    readonly memory: IssuerMemory;
    readonly clock: Clock;
    readonly get: Fetch;
    readonly checkDestination: VerifyDependencies["checkDestination"];
  },
): Promise<IssuerEndpoints> {
  const { memory, clock, get, checkDestination } = parts;
  const now = clock();
  const known = memory.get(issuer);
  if (known !== undefined && now >= known.at && now - known.at < ENDPOINTS_FRESH_MS) return known.endpoints;
  const asking = discover(issuer, { fetch: get, checkDestination, timeoutMs: TIMEOUT_MS });
  const metadata = await asking.catch(issuerAway);
  const authorization = keysUriSchema.safeParse(metadata["authorization_endpoint"]);
  const token = keysUriSchema.safeParse(metadata["token_endpoint"]);
  if (!authorization.success || !token.success) throw away();
  try {
    checkDestination(authorization.data.split("?", 1)[0] ?? "");
  } catch {
    throw away();
  }
  const methods = metadata["token_endpoint_auth_methods_supported"];
  const endpoints = {
    authorization: authorization.data,
    token: token.data,
    authMethods: Array.isArray(methods) ? methods.filter((one) => typeof one === "string") : [],
    namesItself: metadata["authorization_response_iss_parameter_supported"] === true,
  };
  memory.set(issuer, { endpoints, at: now });
  return endpoints;
}

/** Throws UNAVAILABLE where the issuer is away; anything else as it is. */
export function issuerAway(error: unknown): never {
  throw error instanceof SourceError ? away() : error;
}

export const away = (): Problem =>
  new Problem("UNAVAILABLE", "The identity provider does not answer as it should. Try again.", {
    headers: { "retry-after": "5" },
  });
