import type { TokenRequest } from "../tokens/schemas.ts";
import type { AskingWorkload } from "../tokens/issue-terms.ts";
import type { Reach } from "./reach.ts";

/** What people are shown of a request for a token. */
export interface TokenPayload {
  readonly request: TokenRequest;
  readonly reach: Reach;
  /** Null: an agent's key asked. */
  readonly workload: AskingWorkload | null;
}

export function writeTokenPayload(payload: TokenPayload): string {
  return JSON.stringify(payload);
}

/** What `writeTokenPayload` wrote; no one else writes a token's case. */
export function readTokenPayload(text: string): TokenPayload {
  return JSON.parse(text) as TokenPayload;
}
