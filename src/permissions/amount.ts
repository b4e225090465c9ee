const SCALE = 1_000_000;
const DECIMAL = /^(0|[1-9][0-9]{0,15})(?:\.([0-9]{1,6}))?$/;

/**
 * A decimal number in millionths, exactly; null for what is none: a sign, an exponent, blanks, leading zeros, more than
 * six decimals, or more than 9 billion, since 2^53 millionths is as far as whole numbers are exact.
 */
export function millionthsOf(text: string): number | null {
  const [, whole, decimals = ""] = DECIMAL.exec(text) ?? [];
  if (whole === undefined) return null;
  const amount = Number(whole) * SCALE + Number(decimals.padEnd(6, "0"));
  return Number.isSafeInteger(amount) ? amount : null;
}

/** As `millionthsOf`, of a number from JSON; -0 is none. */
export function millionthsOfNumber(value: number): number | null {
  return Object.is(value, -0) ? null : millionthsOf(String(value));
}
