import { z } from "zod";

const UNITS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** A duration such as `30s`, `15m`, `24h`, as whole seconds. */
export function durationSchema(bounds: {
  readonly minSeconds: number;
  readonly maxSeconds: number;
  readonly example: string;
}) {
  const message = `must be a duration such as "${bounds.example}" (s, m, h or d)`;
  return z
    .string(message)
    .regex(/^[1-9][0-9]{0,6}[smhd]$/, message)
    .transform((value) => Number(value.slice(0, -1)) * UNITS[value.slice(-1) as keyof typeof UNITS])
    .refine(
      (seconds) => seconds >= bounds.minSeconds && seconds <= bounds.maxSeconds,
      `must be between ${bounds.minSeconds} s and ${bounds.maxSeconds} s, for example "${bounds.example}"`,
    );
}
