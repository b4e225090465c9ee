/** What many rounds say: the median, and how far they lie apart. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** The value below which the share `q` (0 to 1) of the values lies, the nearest one. NaN of nothing. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

/** The mean of the two in the middle where their number is even. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** Round by round: what was measured at the same time is compared with each other, not with another minute. */
export function ratios(values: readonly number[], base: readonly number[]): Spread {
  return spread(values.flatMap((value, round) => (base[round] === undefined ? [] : [value / base[round]])));
}
