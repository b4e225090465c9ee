import type { PermissionId } from "../base/ids.ts";

/**
 * A count or sum that the token's object keeps, exactly, under any concurrency: charged with the call in one step.
 * Amounts are whole numbers below 2^53 (money in millionths).
 */
export interface Tally {
  /** Unique within the token. */
  readonly key: string;
  readonly amount: number;
  /** The sum of all amounts must not exceed it. */
  readonly max: number;
}

/**
 * What a constraint asks of the field it is bound to:
 *
 *     max_count    without a field: so many calls, which the token's uses count; with one: so many items, over all calls
 *     max_amount   a decimal number, at most that in each call
 *     max_total    the same, at most that over all calls
 *     one_of       one of these values, exactly
 *     equals       this value, exactly
 *     pattern      a text that the RE2 expression matches from its beginning to its end
 *     max_length   a text of at most so many characters (UTF-16 units)
 *     max_items    at most so many items in each call
 *     max_size     a body of at most so many bytes
 *     only_fields  no field in the body or the query but these
 */
export const CONSTRAINT_KINDS = [
  "max_count",
  "max_amount",
  "max_total",
  "one_of",
  "equals",
  "pattern",
  "max_length",
  "max_items",
  "max_size",
  "only_fields",
] as const;
export type ConstraintKind = (typeof CONSTRAINT_KINDS)[number];

/** One constraint, bound to the field of the call that it holds for. */
export interface BoundConstraint {
  /** As the action names it, such as `max_amount`; several fields of one have its name each. */
  readonly name: string;
  readonly kind: ConstraintKind;
  /** `body.amount`, `body.to[]`, `query.limit`, `path.id`, `header.x-name`; null where the kind needs none. */
  readonly field: string | null;
  readonly value: number | string | readonly string[];
  /** The field may be left out; else a call without it is refused. */
  readonly optional?: true;
  /** Numbers stand in JSON as text (`"10.00"`). */
  readonly text?: true;
}

/** What the token of a permission is bound to; in its grant, immutable. Whatever is not covered is refused. */
export interface GrantedPermission {
  readonly permissionId: PermissionId;
  readonly action: string;
  /** What it is about, as asked for, such as a charge's id. */
  readonly resource: string | null;
  /** The calls it covers; null: it is used outside of the gateway, and covers none. */
  readonly calls: {
    readonly connection: string;
    readonly methods: readonly string[];
    /** Globs; `{name}` in a path binds a segment as `path.name`. */
    readonly paths: readonly string[];
  } | null;
  readonly constraints: readonly BoundConstraint[];
  /** What people gave it: so many of them, and so long a time to object. A policy that asks calls for more asks anew. */
  readonly agreed: { readonly approvals: number; readonly delaySeconds: number };
}
