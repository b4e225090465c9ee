import { BoundedCache } from "../base/cache.ts";
import type { OpenSecrets } from "../credentials/kind.ts";
import type { SealedSecrets } from "../credentials/obtain.ts";
import { createRedactor, type Redactor } from "./redact/redactor.ts";
import type { Route } from "./route.ts";

const LIFE_MS = 5 * 60_000;

/** Redactors are costly to build and good for as long as the values are; kept as long as data keys are, no longer. */
const built = new BoundedCache<string, { readonly redactor: Redactor; readonly until: number }>(500);

/** What must not come back from a call: its secrets, and every form its kind gives them. */
export function redactorFor(
  route: Route,
  sealed: SealedSecrets,
  secrets: OpenSecrets,
  now: number,
): Redactor {
  let key: string = route.id;
  for (const { versionId } of Object.values(sealed)) key += `|${versionId}`;
  key += `|${route.updatedAt}`;
  const known = built.get(key);
  if (known !== undefined && known.until > now) return known.redactor;
  const values = Object.values(secrets).map((secret) => secret.revealBytes());
  for (const rendering of route.kind.renderings(route.options, secrets))
    values.push(Buffer.from(rendering, "utf8"));
  const redactor = createRedactor(values);
  built.set(key, { redactor, until: now + LIFE_MS });
  return redactor;
}
