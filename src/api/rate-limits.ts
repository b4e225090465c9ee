import { addressGroup } from "../base/address.ts";
import { BoundedCache } from "../base/cache.ts";
import type { Clock } from "../base/clock.ts";
import { sha256Hex } from "../base/digest.ts";
import type { Endpoint } from "../base/endpoint.ts";
import { Problem } from "../base/problem.ts";
import { type Quota, type QuotaVerdict, type QuotaWindow, takeOne } from "../base/quota.ts";
import type { Caller } from "../identity/caller.ts";
import type { QuotaName, Quotas } from "./quota-settings.ts";

/** A caller's own count (durable-objects/caller-quotas.ts). */
export interface QuotaObject {
  take(name: string, quota: Quota): Promise<QuotaVerdict>;
}

/** What an isolate counts by itself, in bounded memory. */
export class QuotaMemory {
  readonly windows = new BoundedCache<string, QuotaWindow>(20_000);
  /** Callers with nothing left, and until when. */
  readonly spent = new BoundedCache<string, number>(10_000);
  /** Digests of credentials that were good a while ago. */
  readonly good = new BoundedCache<string, number>(10_000);
}

/** What an answer tells of the quota that applied to it. */
export interface Taken {
  readonly name: QuotaName;
  readonly quota: Quota;
  readonly verdict: QuotaVerdict;
}

const ASKED_AT_MOST_MS = 1_000;
/** A credential that was good so lately is not held up by what else comes from its address. */
const GOOD_FOR_MS = 5 * 60_000;

/**
 * Who calls too often is told to wait. Known callers are counted by an object of their own, everywhere at once; what
 * comes without a credential, or with one that is none, is counted by address in this isolate, where it costs nothing
 * but memory (attacks 57, 89).
 */
export class RateLimits {
  readonly #quotas: Quotas;
  readonly #memory: QuotaMemory;
  readonly #object: (caller: Pick<Caller, "tenantId" | "actor">) => QuotaObject;
  readonly #clock: Clock;

  constructor(parts: {
    readonly quotas: Quotas;
    readonly memory: QuotaMemory;
    readonly object: (caller: Pick<Caller, "tenantId" | "actor">) => QuotaObject;
    readonly clock: Clock;
  }) {
    this.#quotas = parts.quotas;
    this.#memory = parts.memory;
    this.#object = parts.object;
    this.#clock = parts.clock;
  }

  /** Counts a call of a known caller. */
  async ofCaller(caller: Caller, endpoint: Endpoint): Promise<Taken> {
    const name = quotaOf(endpoint);
    const quota = this.#quotas[name];
    const key = `${caller.tenantId} ${caller.actor} ${name}`;
    const now = this.#clock();
    const spentUntil = this.#memory.spent.get(key) ?? 0;
    if (spentUntil > now) {
      const resetSeconds = Math.ceil((spentUntil - now) / 1_000);
      return { name, quota, verdict: { allowed: false, remaining: 0, resetSeconds } };
    }
    const verdict = await this.#ask(caller, key, name, quota);
    if (!verdict.allowed) this.#memory.spent.set(key, now + verdict.resetSeconds * 1_000);
    return { name, quota, verdict };
  }

  /** Counts a call that takes no credential. */
  ofAddress(ip: string | null, endpoint: Endpoint): Taken {
    const name = quotaOf(endpoint);
    return { name, quota: this.#quotas[name], verdict: this.#here(ip, name, this.#clock()) };
  }

  /**
   * Before a credential is looked up: null, or the quota of bad ones where its address has used that up. One that was
   * good lately passes: nobody is locked out by a neighbour.
   */
  failuresLeft(ip: string | null, credential: string): Taken | null {
    const now = this.#clock();
    const quota = this.#quotas.failures;
    const { verdict } = takeOne(quota, this.#memory.windows.get(windowKey(ip, "failures")), now);
    if (verdict.allowed || (this.#memory.good.get(sha256Hex(credential)) ?? 0) > now) return null;
    return { name: "failures", quota, verdict };
  }

  noteGood(credential: string): void {
    this.#memory.good.set(sha256Hex(credential), this.#clock() + GOOD_FOR_MS);
  }

  noteFailure(ip: string | null): void {
    this.#here(ip, "failures", this.#clock());
  }

  /** Where the caller's object does not answer, this isolate's own count holds: nobody is stopped by its absence. */
  async #ask(caller: Caller, key: string, name: QuotaName, quota: Quota): Promise<QuotaVerdict> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), ASKED_AT_MOST_MS);
    });
    try {
      const answer = await Promise.race([
        this.#object(caller)
          .take(name, quota)
          .catch(() => null),
        late,
      ]);
      return answer ?? this.#count(key, quota, this.#clock());
    } finally {
      clearTimeout(timer);
    }
  }

  #here(ip: string | null, name: QuotaName, now: number): QuotaVerdict {
    return this.#count(windowKey(ip, name), this.#quotas[name], now);
  }

  #count(key: string, quota: Quota, now: number): QuotaVerdict {
    const { verdict, window } = takeOne(quota, this.#memory.windows.get(key), now);
    this.#memory.windows.set(key, window);
    return verdict;
  }
}

function windowKey(ip: string | null, name: QuotaName): string {
  return `${ip === null ? "-" : addressGroup(ip)} ${name}`;
}

/** Which quota an endpoint's calls count against. */
export function quotaOf({ access, method, path, quota }: Endpoint): QuotaName {
  if (quota !== undefined) return quota;
  if (access === "bootstrap" || access === "operator") return "sign-ins";
  if (access === "public") return method === "GET" && !path.startsWith("/auth/") ? "public" : "sign-ins";
  return method === "GET" ? "reads" : "writes";
}

/** `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10). */
export function quotaHeaders({ name, quota, verdict }: Taken): Readonly<Record<string, string>> {
  return {
    "ratelimit-policy": `"${name}";q=${quota.limit};w=${quota.windowSeconds}`,
    ratelimit: `"${name}";r=${verdict.remaining};t=${verdict.resetSeconds}`,
  };
}

export function tooMany({ name, verdict }: Taken): Problem {
  const what = name === "failures" ? "requests without a valid credential" : name;
  return new Problem("RATE_LIMITED", `Too many ${what}: wait ${verdict.resetSeconds} s.`, {
    headers: { "retry-after": String(verdict.resetSeconds) },
    why: "Wait as long as Retry-After says. `RateLimit` tells how much is left.",
  });
}
