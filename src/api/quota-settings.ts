import { Problem } from "../base/problem.ts";
import type { Quota } from "../base/quota.ts";

/**
 * The control plane's quotas. Per caller: `reads`, `writes`, `tokens` (asking for them). Per address: `public` (what
 * needs no credential), `sign-ins`, and `failures`: requests whose credential is none.
 */
export type QuotaName = "reads" | "writes" | "tokens" | "public" | "sign-ins" | "failures";

export type Quotas = Readonly<Record<QuotaName, Quota>>;

const PER_MINUTE: Readonly<Record<QuotaName, number>> = {
  reads: 600,
  writes: 120,
  tokens: 60,
  public: 600,
  "sign-ins": 10,
  failures: 60,
};

/** In development nothing is to be held up that only is in a hurry: tests, loops, reloading pages. */
const DEVELOPMENT_FACTOR = 1_000;
const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600 };

/** RATE_LIMITS: `reads=600/m,sign-ins=10/m`; what it does not name is as it is by default. Throws MISCONFIGURED. */
export function quotasOf(setting: string | undefined, environment: string): Quotas {
  const factor = environment === "development" ? DEVELOPMENT_FACTOR : 1;
  const entries = Object.entries(PER_MINUTE).map(([name, limit]): [string, Quota] => [
    name,
    { limit: limit * factor, windowSeconds: 60 },
  ]);
  const quotas = new Map<string, Quota>(entries);
  for (const part of (setting ?? "").split(",").filter((text) => text.trim() !== "")) {
    const [, name = "", limit, unit = ""] = /^\s*([a-z-]+)=([1-9][0-9]{0,6})\/([smh])\s*$/.exec(part) ?? [];
    const windowSeconds = UNITS[unit];
    if (!quotas.has(name) || windowSeconds === undefined) {
      throw new Problem(
        "MISCONFIGURED",
        `RATE_LIMITS must look like "reads=600/m,writes=120/m"; there are ${[...quotas.keys()].join(", ")}.`,
      );
    }
    quotas.set(name, { limit: Number(limit), windowSeconds });
  }
  return Object.fromEntries(quotas) as Quotas;
}
