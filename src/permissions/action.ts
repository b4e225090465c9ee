import type { ConstraintKind } from "../tokens/permission.ts";
import type { Scope, ScopeValue } from "./constraint-values.ts";

/** One thing that a scope of an action may bound, and the fields of the call that it holds for. */
export interface DeclaredConstraint {
  readonly kind: Exclude<ConstraintKind, "only_fields">;
  /** Null where the kind needs none. */
  readonly field: string | null;
  /** Further fields that it holds for wherever they are given, such as `body.cc[]`. */
  readonly also: readonly string[];
  /** Whether a permission without it is refused, where it has neither default nor cap. */
  readonly required: boolean;
  /** What holds where a request says nothing of it. */
  readonly default: ScopeValue | null;
  /** What no permission goes beyond. */
  readonly cap: ScopeValue | null;
  /** Numbers stand in JSON as text. */
  readonly text: boolean;
  readonly description: string | null;
}

/** A scope with a name, that requests can ask for. */
export interface ScopeTemplate {
  readonly description: string | null;
  readonly scope: Scope;
  readonly ttlSeconds: number | null;
  readonly maxUses: number | null;
}

/** What is declared of an action. */
export interface ActionContent {
  readonly description: string | null;
  /** Null: it is used outside of the gateway. */
  readonly calls: {
    readonly connection: string;
    readonly methods: readonly string[];
    readonly paths: readonly string[];
    /** The only outermost fields that such a call has; null: any. */
    readonly fields: readonly string[] | null;
  } | null;
  readonly constraints: Readonly<Record<string, DeclaredConstraint>>;
  /** The field that must be the permission's `resource`; null: the resource is a word for people. */
  readonly resourceField: string | null;
  readonly defaultTtlSeconds: number;
  readonly maxTtlSeconds: number;
  /** How many uses a permission may have. */
  readonly maxUses: number;
  /** How many people must agree; 0: nobody, where a policy allows it, and else one. */
  readonly approvals: number;
  readonly templates: Readonly<Record<string, ScopeTemplate>>;
}

/** An action of a tenant. Times are milliseconds since 1970. */
export interface Action extends ActionContent {
  readonly name: string;
  /** Up by one with every change: what people approved was of one version. */
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}
