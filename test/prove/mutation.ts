export interface Edit {
  readonly file: string;
  /** Stands in `file` exactly once: a defence that moved must move its mutation. */
  readonly find: string;
  readonly replace: string;
}

/**
 * One defence taken out of the source. The tests that name its attacks, run against the source without it, must fail:
 * else they would not notice if it were gone.
 */
export interface Mutation extends Edit {
  /** Numbers of the list in docs/threat-model.md. Every one of them must be noticed by a test that names it. */
  readonly attack: number | readonly number[];
  /** The defence that is taken out, as a statement about the source as it is. */
  readonly what: string;
  /** Where another layer would stop the attack as well: what takes that one out. */
  readonly also?: readonly Edit[];
  /** Where the tests are that must notice; those of them that name the attack are run. All of one project. */
  readonly tests: readonly string[];
}

export function attacksOf({ attack }: Mutation): readonly number[] {
  return typeof attack === "number" ? [attack] : attack;
}

export function editsOf(mutation: Mutation): readonly Edit[] {
  return [mutation, ...(mutation.also ?? [])];
}
