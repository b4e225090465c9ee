import type { PolicyId } from "../base/ids.ts";
import type { PolicyEffect, PolicySubject } from "./verdict.ts";

/** A policy as it is stored, at one version. Times are milliseconds since 1970. */
export interface Policy {
  readonly id: PolicyId;
  readonly name: string;
  readonly description: string | null;
  readonly effect: PolicyEffect;
  readonly on: PolicySubject;
  /** Slug globs that a connection must match, `*` for any run of characters; empty: all. Only of policies on calls. */
  readonly connections: readonly string[];
  /** CEL (condition.ts); null: always. */
  readonly condition: string | null;
  /** How many people must agree, 1 to 5. Only of `require_approval`, as is the delay. */
  readonly approvals: number;
  readonly delaySeconds: number;
  /** What the agent is told. */
  readonly message: string | null;
  readonly enabled: boolean;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}
