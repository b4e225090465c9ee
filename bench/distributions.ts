/** How two sets of measurements differ. */
export interface Difference {
  /** Median of the first less that of the second, in their unit. */
  readonly medians: number;
  /** Kolmogorov and Smirnov's D: the largest distance between the two distribution functions, 0 to 1. */
  readonly distance: number;
  /** How likely so large a distance is where both were drawn from the same distribution (asymptotic, n > 35). */
  readonly probability: number;
  /**
   * Mann and Whitney's U as a share: how often one drawn from the first is above one drawn from the second, 0.5 being a
   * coin. What somebody who measures once knows.
   */
  readonly above: number;
}

/** The two-sample tests. Neither set may be empty. */
export function difference(first: readonly number[], second: readonly number[]): Difference {
  const [a, b] = [first.toSorted(byValue), second.toSorted(byValue)];
  let distance = 0;
  let below = 0;
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const value = Math.min(a[i]!, b[j]!);
    const [fromA, fromB] = [i, j];
    while (i < a.length && a[i] === value) i += 1;
    while (j < b.length && b[j] === value) j += 1;
    // Of the first, those at this value are above all of the second before it, and half above those at it.
    below += (i - fromA) * (fromB + (j - fromB) / 2);
    distance = Math.max(distance, Math.abs(i / a.length - j / b.length));
  }
  below += (a.length - i) * b.length;
  const size = Math.sqrt((a.length * b.length) / (a.length + b.length));
  return {
    medians: middle(a) - middle(b),
    distance,
    probability: kolmogorov((size + 0.12 + 0.11 / size) * distance),
    above: below / (a.length * b.length),
  };
}

function byValue(a: number, b: number): number {
  return a - b;
}

function middle(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length / 2)]!;
}

/** The tail of Kolmogorov's distribution, 2 Σ (−1)^(k−1) e^(−2k²x²). */
function kolmogorov(x: number): number {
  if (x < 0.2) return 1;
  let sum = 0;
  for (let k = 1; k <= 100; k += 1) sum += (k % 2 === 1 ? 2 : -2) * Math.exp(-2 * k * k * x * x);
  return Math.min(1, Math.max(0, sum));
}
