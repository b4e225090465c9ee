import { DurableObject } from "cloudflare:workers";
import { type Quota, type QuotaVerdict, type QuotaWindow, takeOne } from "../src/base/quota.ts";

/** Written down at every tenth of a quota: memory is gone after some seconds of rest, and forgets no more than that. */
const STEPS = 10;

/**
 * How much of its quotas on the control plane one caller has used, named by its tenant and itself: one count, however
 * many isolates it calls through. Who stays below a tenth writes nothing.
 */
export class CallerQuotas extends DurableObject<Env> {
  readonly #windows = new Map<string, QuotaWindow>();

  take(name: string, quota: Quota): QuotaVerdict {
    const held = this.#windows.get(name) ?? this.ctx.storage.kv.get<QuotaWindow>(name);
    const { verdict, window } = takeOne(quota, held, Date.now());
    this.#windows.set(name, window);
    const step = Math.max(1, Math.floor(quota.limit / STEPS));
    if (verdict.allowed && window.used % step === 0) this.ctx.storage.kv.put(name, window);
    return verdict;
  }
}
