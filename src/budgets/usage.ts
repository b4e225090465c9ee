/**
 * Where a provider's answers tell what they came to: data, beside the provider. Paths are dots between members, from the
 * root of a JSON answer or of each event of a stream; what comes last counts.
 */
export interface UsagePlaces {
  /** The model's name: the first that is there. */
  readonly model: readonly string[];
  /** What is counted, by the names that prices give it. */
  readonly units: Readonly<Record<string, UsageUnit>>;
}

export interface UsageUnit {
  /** Summed up; of a list, the first that is there. */
  readonly at: readonly (string | readonly string[])[];
  /** Counted in as well, and units of their own. */
  readonly without?: readonly string[];
  /** Whose price holds where it has none. */
  readonly pricedAs?: string;
}

/** What was found in an answer: numbers, and texts of at most 256 characters, by path. */
export type Found = ReadonlyMap<string, number | string>;

/** Every path that is to be looked for. */
export function pathsOf({ model, units }: UsagePlaces): readonly string[] {
  const all = Object.values(units).flatMap(({ at, without = [] }) => [...at.flat(), ...without]);
  return [...new Set([...model, ...all])];
}

/** How many of each unit; null where nothing of it is told. */
export function unitsIn(found: Found, { units }: UsagePlaces): ReadonlyMap<string, number> | null {
  const counted = new Map<string, number>();
  let isTold = false;
  for (const [name, { at, without = [] }] of Object.entries(units)) {
    let count = 0;
    for (const place of at) {
      const value = firstNumber(found, typeof place === "string" ? [place] : place);
      if (value === null) continue;
      isTold = true;
      count += value;
    }
    for (const path of without) count -= firstNumber(found, [path]) ?? 0;
    counted.set(name, Math.max(0, count));
  }
  return isTold ? counted : null;
}

/** A number of something that there can be. */
export function firstNumber(found: Found, paths: readonly string[]): number | null {
  for (const path of paths) {
    const value = found.get(path);
    if (typeof value === "number" && Number.isFinite(value) && value >= 0) return value;
  }
  return null;
}

export function modelIn(found: Found, { model }: UsagePlaces): string | null {
  for (const path of model) {
    const value = found.get(path);
    if (typeof value === "string") return value;
  }
  return null;
}
