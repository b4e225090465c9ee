import { parseArgs } from "node:util";
import type { Amounts } from "./fill.ts";

export interface Options {
  mode: "quick" | "default" | "full";
  json: boolean;
  rounds: number;
  /** Of one turn in the rounds. */
  seconds: number;
  /** Calls before memory is looked at: each contender gets that many; 0: what the rounds made. */
  memoryCalls: number;
  streamSamples: number;
  growth: { amounts: Amounts; rounds: number };
  steps: { rounds: number };
}

export const USAGE = `npm run bench -- [options]

  --rounds N   interleaved rounds of the comparison (10)
  --quick      3 short rounds and a smaller large tenant: under a minute
  --full       memory after 100,000 calls of each
  --json       the numbers, as JSON on stdout`;

const FULL_SIZE: Amounts = { secrets: 100_000, tokens: 100_000, events: 1_000_000 };

const MODES = {
  quick: {
    rounds: 3,
    seconds: 1,
    memoryCalls: 0,
    streamSamples: 2,
    growth: { amounts: { secrets: 5_000, tokens: 5_000, events: 50_000 }, rounds: 2 },
    steps: { rounds: 0 },
  },
  default: {
    rounds: 10,
    seconds: 2,
    memoryCalls: 0,
    streamSamples: 10,
    growth: { amounts: FULL_SIZE, rounds: 10 },
    steps: { rounds: 4 },
  },
  full: {
    rounds: 10,
    seconds: 2,
    memoryCalls: 100_000,
    streamSamples: 10,
    growth: { amounts: FULL_SIZE, rounds: 10 },
    steps: { rounds: 10 },
  },
} as const;

/** Throws a TypeError whose message says what is wrong with the arguments; null where help is asked for. */
export function parseOptions(args: string[]): Options | null {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      full: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return null;
  if (values.quick && values.full) throw new TypeError("--quick and --full exclude each other");
  const mode = values.quick ? "quick" : values.full ? "full" : "default";
  const settings = MODES[mode];
  const rounds = Number(values.rounds ?? settings.rounds);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100) {
    throw new TypeError("--rounds is a number from 1 to 100");
  }
  return { ...settings, mode, json: values.json, rounds };
}
