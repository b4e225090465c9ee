/** Money is counted in whole millionths of its currency, so that sums are exact. */
const MICROS = 1_000_000;
const DECIMAL = /^(0|[1-9][0-9]{0,9})(?:\.([0-9]{1,6}))?$/;
const RATE = /^([0-9.]+)(?: per (1|1k|1K|1M))?$/;
const PER: Readonly<Record<string, number>> = { "1": 1, "1k": 1_000, "1K": 1_000, "1M": 1_000_000 };

/** `12.50` as millionths; null where it is no amount, or beyond about nine billion. */
export function parseMoney(text: string): number | null {
  const match = DECIMAL.exec(text);
  if (match === null) return null;
  const [, whole = "", part = ""] = match;
  const micros = Number(whole) * MICROS + Number(part.padEnd(6, "0"));
  return Number.isSafeInteger(micros) ? micros : null;
}

/** Millionths as `12.50`: two decimal places, or as many as it takes. */
export function formatMoney(micros: number): string {
  const whole = Math.trunc(Math.abs(micros) / MICROS);
  const part = String(Math.abs(micros) % MICROS).padStart(6, "0");
  return `${micros < 0 ? "-" : ""}${whole}.${part.replace(/0{1,4}$/, "")}`;
}

/** Millionths for so many units. */
export interface Rate {
  readonly micros: number;
  readonly per: number;
}

/** `2.50 per 1M`, `0.01`; null where it is none. */
export function parseRate(text: string): Rate | null {
  const match = RATE.exec(text);
  const micros = match?.[1] === undefined ? null : parseMoney(match[1]);
  const per = PER[match?.[2] ?? "1"];
  return micros === null || per === undefined ? null : { micros, per };
}

/** What so many units cost, rounded up; null: beyond what can be counted. */
export function costOf(units: number, { micros, per }: Rate): number | null {
  const scaled = Math.ceil(units * MICROS);
  if (!Number.isSafeInteger(scaled)) return null;
  const divisor = BigInt(MICROS) * BigInt(per);
  const cost = (BigInt(scaled) * BigInt(micros) + divisor - 1n) / divisor;
  return cost > BigInt(Number.MAX_SAFE_INTEGER) ? null : Number(cost);
}
