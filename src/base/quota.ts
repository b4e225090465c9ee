/** So many in a window of so many seconds, which begins with the first. */
export interface Quota {
  readonly limit: number;
  readonly windowSeconds: number;
}

export interface QuotaWindow {
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly used: number;
}

export interface QuotaVerdict {
  readonly allowed: boolean;
  readonly remaining: number;
  /** Until there are as many again as there can be. */
  readonly resetSeconds: number;
}

/** Takes one of a quota, if there is one left. Pure; `now` is in milliseconds since 1970. */
export function takeOne(
  { limit, windowSeconds }: Quota,
  held: QuotaWindow | undefined,
  now: number,
): { readonly verdict: QuotaVerdict; readonly window: QuotaWindow } {
  const windowMs = windowSeconds * 1_000;
  const isOver = held === undefined || now >= held.startedAt + windowMs || now < held.startedAt;
  const { startedAt, used } = isOver ? { startedAt: now, used: 0 } : held;
  const allowed = used < limit;
  const window = { startedAt, used: allowed ? used + 1 : used };
  const resetSeconds = Math.max(1, Math.ceil((startedAt + windowMs - now) / 1_000));
  return { verdict: { allowed, remaining: Math.max(0, limit - window.used), resetSeconds }, window };
}
