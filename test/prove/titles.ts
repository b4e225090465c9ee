/** `attack 17`, `attack 36–39, 41`, `attacks 3 to 5, 10`, `attack 61, attack 62`: what stands before the colon. */
const HEAD = /attacks? (?<list>[0-9]+(?:(?:,| to | and |–|-|\s|attack)*[0-9]+)*)/g;

/** The attacks that a test's full name names. */
export function attacksIn(title: string): ReadonlySet<number> {
  const numbers = new Set<number>();
  for (const { groups } of title.matchAll(HEAD)) {
    for (const [, first, last] of (groups?.["list"] ?? "").matchAll(
      /([0-9]+)(?:\s*(?:–|-|to)\s*([0-9]+))?/g,
    )) {
      for (let number = Number(first); number <= Number(last ?? first); number++) numbers.add(number);
    }
  }
  return numbers;
}

/** A pattern for vitest's `-t` that selects, of these tests, those that name one of `attacks`. Null: none does. */
export function patternFor(titles: Iterable<string>, attacks: readonly number[]): string | null {
  const heads = new Set<string>();
  for (const title of titles) {
    for (const [head] of title.matchAll(HEAD)) {
      const named = attacksIn(head);
      if (attacks.some((attack) => named.has(attack))) heads.add(head);
    }
  }
  return heads.size === 0 ? null : `(?:${[...heads].join("|")})(?![0-9])`;
}
