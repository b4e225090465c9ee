import type { ClaimMatch } from "./claim.ts";

/** Names the claims that together say who a workload is, each with the form of its values. */
export type Pin = Readonly<Record<string, RegExp>>;

/**
 * What is known of a platform that issues tokens to workloads: data, never code. A rule of this provider is held against
 * it when it is written (rule.ts).
 */
export interface TrustPreset {
  readonly id: string;
  readonly title: string;
  readonly docs: string;
  /** The form of its issuers. */
  readonly issuer: RegExp;
  readonly issuerExample: string;
  /** Where its keys are, below the issuer, if it has no discovery document. */
  readonly keysPath?: string;
  /**
   * A rule must pin one of these completely: the values that nobody else can come to have, by renaming, recreating or
   * registering something (attack 55).
   */
  readonly pins: readonly Pin[];
  /** What a subject with `*` may look like where it stands for a pin. Left out: it never does. */
  readonly subjectGlob?: RegExp;
  /** The form of its audiences. */
  readonly audience?: RegExp;
  /** Audiences that tokens have which are made for somebody else, and why that is. */
  readonly foreignAudience?: { readonly form: RegExp; readonly why: string };
  /** Claims that every token of a workload has, added to each rule. */
  readonly required?: Readonly<Record<string, ClaimMatch>>;
  /** Tokens of workloads have an empty `sub`. */
  readonly emptySubject?: true;
  /** What a person who writes a rule should know. */
  readonly advice: string;
}
