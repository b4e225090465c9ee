const VERSION = "0.1.0";

/** What a deployment says of itself. */
export interface Deployment {
  readonly version: string;
  /** What an operator should mend, as sentences; shown to anyone. */
  readonly warnings: readonly string[];
}

export function deploymentOf(env: Env): Deployment {
  return { version: VERSION, warnings: warningsOf(env) };
}

function warningsOf(env: Env): readonly string[] {
  if (env.ENVIRONMENT === "development") return [];
  return [
    "Tenant keys are derived from a Worker secret (the embedded key provider), not kept in a KMS or HSM.",
  ];
}
