/**
 * How people who are asked to approve a call of a provider's are told what it does: data. A hint fits a call of its
 * method and path; the first that fits speaks.
 */
export interface CallHint {
  readonly method: string;
  /** Below the base URL; `{name}` for one segment, `{+name}` for all that is left. */
  readonly path: string;
  /** `{name}` for what stands in a segment or a field. */
  readonly title: string;
  /** What is picked out, in this order, by name. */
  readonly fields?: Readonly<Record<string, HintField>>;
}

export interface HintField {
  /**
   * Where it may stand; of several the first that is there. `body.a.b`, `body.a[0].b`, `body.a[*].b` for every item;
   * in a form the name as it is sent (`body.transfer_data[destination]`); `query.name`, `path.name`,
   * `header.name`. What is in the body is looked for in the query as well.
   */
  readonly at: readonly string[];
  /** What the title says where it stands nowhere. */
  readonly missing?: string;
  /** An amount in the smallest unit of the currency that stands at `currency`. */
  readonly money?: {
    readonly currency: string;
    /** Digits behind the point, by currency in lower case; of one that is not named two. */
    readonly decimals: Readonly<Record<string, number>>;
  };
}
