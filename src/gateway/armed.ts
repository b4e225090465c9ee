import { BoundedCache } from "../base/cache.ts";
import type { OpenSecrets } from "../credentials/kind.ts";
import type { SealedSecrets } from "../credentials/obtain.ts";
import { createRedactor, type Redactor } from "./redact/redactor.ts";
import type { Route } from "./route.ts";

/** As long as the vault keeps a data key at hand. */
const LIFE_MS = 5 * 60_000;
const ROUTES = 300;
/** A redactor holds its values' forms; larger ones are built for each call rather than kept. */
const MAX_KEPT_BYTES = 16 * 1024;

/** A route with its credential opened, and what keeps that from coming back. */
export interface Armed {
  readonly sealed: SealedSecrets;
  readonly secrets: OpenSecrets;
  readonly redactor: Redactor;
}

const kept = new BoundedCache<Route, Armed & { readonly until: number }>(ROUTES);

/**
 * What is at hand for just these sealed secrets. A new version, another secret or another configuration of the
 * connection is another object, and so never found.
 */
export function findArmed(route: Route, sealed: SealedSecrets, now: number): Armed | null {
  const armed = kept.get(route);
  // More than its whole life is left where the clock went back.
  if (armed === undefined || armed.until <= now || armed.until - now > LIFE_MS) return null;
  const names = Object.keys(sealed);
  const same = names.length === Object.keys(armed.sealed).length;
  return same && names.every((name) => armed.sealed[name] === sealed[name]) ? armed : null;
}

/** Arms a route; kept unless an agent's references are among the secrets, or they are large. */
export function arm(route: Route, sealed: SealedSecrets, secrets: OpenSecrets, now: number): Armed {
  const values = Object.values(secrets).map((secret) => secret.revealBytes());
  for (const rendering of route.kind.renderings(route.options, secrets))
    values.push(Buffer.from(rendering, "utf8"));
  const armed = { sealed, secrets, redactor: createRedactor(values, route.redact), until: now + LIFE_MS };
  const bytes = values.reduce((sum, value) => sum + value.byteLength, 0);
  const ownOnly = Object.keys(sealed).length === Object.keys(route.secrets).length;
  if (ownOnly && bytes <= MAX_KEPT_BYTES) kept.set(route, armed);
  return armed;
}
