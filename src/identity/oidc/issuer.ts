import { z } from "zod";
import { parseStrictObject } from "./strict-json.ts";

/**
 * Throws where nothing may be fetched from a URL. services.ts passes `parseDestination` of connections with the
 * deployment's rules: https and public names only, loopback and http in development alone.
 */
export type CheckDestination = (url: string) => unknown;

/** The platform's fetch, or one that tests own. */
export type Fetch = (
  url: string,
  init: {
    readonly redirect: "manual";
    readonly signal: AbortSignal;
    readonly headers: Readonly<Record<string, string>>;
  },
) => Promise<Response>;

/** Why an issuer's keys are not at hand. */
export type SourceFailure =
  | "destination_refused"
  | "unreachable"
  | "status"
  | "too_large"
  | "not_json"
  | "issuer_mismatch"
  | "no_keys_uri"
  | "no_usable_keys";

export class SourceError extends Error {
  readonly failure: SourceFailure;

  constructor(failure: SourceFailure, cause?: unknown) {
    super(failure, { cause });
    this.name = "SourceError";
    this.failure = failure;
  }
}

function isPlainUrl(value: string, query: "refused" | "allowed"): boolean {
  if (!/^https?:\/\/[\x21-\x7e]+$/.test(value) || !URL.canParse(value)) return false;
  const url = new URL(value);
  const bare = url.pathname === "/" && !value.endsWith("/") ? `${value}/` : value;
  return (
    url.username === "" &&
    url.password === "" &&
    !value.includes("#") &&
    (query === "allowed" || !value.includes("?")) &&
    (url.href === value || url.href === bare)
  );
}

/**
 * An issuer identifier (OpenID Connect Discovery §1.2, RFC 8414 §2): a URL without query or fragment, kept exactly as it
 * is written, since it is compared character by character (attack 55). Some end in `/` and mean it. http is for loopback
 * in development; the destination rules refuse it elsewhere.
 */
export const issuerSchema = z
  .string()
  .max(512)
  .refine(
    (value) => isPlainUrl(value, "refused"),
    'must be a URL such as "https://issuer.example.com", exactly as the issuer writes it in `iss`',
  );

export const keysUriSchema = z
  .string()
  .max(1_024)
  .refine((value) => isPlainUrl(value, "allowed"), 'must be a URL such as "https://issuer.example.com/jwks"');

/**
 * An issuer over http is one only where its own URL could be fetched from (loopback, in development), wherever its keys
 * are. Throws SourceError.
 */
export function requireSecureIssuer(issuer: string, checkDestination: CheckDestination): void {
  if (!issuer.startsWith("https://")) checkUrl(issuer, checkDestination);
}

function checkUrl(url: string, checkDestination: CheckDestination): void {
  try {
    checkDestination(url.split("?", 1)[0] ?? "");
  } catch (cause) {
    throw new SourceError("destination_refused", cause);
  }
}

/** Where an issuer describes itself (OpenID Connect Discovery §4.1: a slash at the end is taken off first). */
export function discoveryUrl(issuer: string): string {
  return `${issuer.endsWith("/") ? issuer.slice(0, -1) : issuer}/.well-known/openid-configuration`;
}

const MAX_BYTES = 100_000;

async function readBounded(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for (let read = await reader?.read(); read?.done === false; read = await reader?.read()) {
    const chunk = read.value as Uint8Array;
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) {
      await reader?.cancel();
      throw new SourceError("too_large");
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

export interface FetchDependencies {
  readonly fetch: Fetch;
  readonly checkDestination: CheckDestination;
  readonly timeoutMs: number;
}

/**
 * A JSON object of at most 100 KB from a URL that may be fetched from. Redirects are not followed: where they lead was
 * not checked. Throws SourceError.
 */
export async function fetchObject(
  url: string,
  { fetch, checkDestination, timeoutMs }: FetchDependencies,
): Promise<Readonly<Record<string, unknown>>> {
  checkUrl(url, checkDestination);
  let text: string;
  try {
    const response = await fetch(url, {
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
      headers: { accept: "application/json, application/jwk-set+json" },
    });
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new SourceError("status");
    }
    text = await readBounded(response);
  } catch (cause) {
    throw cause instanceof SourceError ? cause : new SourceError("unreachable", cause);
  }
  const object = parseStrictObject(text);
  if (object === null) throw new SourceError("not_json");
  return object;
}

/**
 * What an issuer says of itself, if it names itself exactly as it is configured (OpenID Connect Discovery §4.3). The
 * endpoints in it are not checked. Throws SourceError.
 */
export async function discover(
  issuer: string,
  dependencies: FetchDependencies,
): Promise<Readonly<Record<string, unknown>>> {
  const metadata = await fetchObject(discoveryUrl(issuer), dependencies);
  if (metadata["issuer"] !== issuer) throw new SourceError("issuer_mismatch");
  return metadata;
}

/** The `jwks_uri` of an issuer. Throws SourceError. */
export async function discoverKeysUri(issuer: string, dependencies: FetchDependencies): Promise<string> {
  const metadata = await discover(issuer, dependencies);
  const uri = keysUriSchema.safeParse(metadata["jwks_uri"]);
  if (!uri.success) throw new SourceError("no_keys_uri");
  return uri.data;
}
