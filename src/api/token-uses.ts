import type { Presented, SpendableProof } from "../identity/dpop/presented.ts";
import type { TokenUse } from "../identity/caller.ts";
import type { Grant } from "../tokens/grant.ts";
import type { ClientRequest } from "./client-address.ts";

/** What the door asks of scoped tokens on control-plane calls. Both throw UNAUTHORIZED for whatever is not live. */
export interface TokenUses {
  /**
   * Charges one use and records it, before anything is done with it. Throws SCOPE_DENIED where the grant does not cover
   * the use, ADDRESS_DENIED where it has an allowlist and `request.ip` is null, outside it or `sharedAddress`.
   */
  use(presented: Presented, use: TokenUse, request: ClientRequest): Promise<{ readonly grant: Grant }>;
  /** Whose it is, whoever shows it; charges nothing. */
  identify(token: string): Promise<Grant>;
  /** Whose it is, for who sent it; charges nothing. The door checks the grant's address allowlist. */
  present(presented: Presented): Promise<{ readonly grant: Grant; readonly proof: SpendableProof | null }>;
  /** A proof's one use, where nothing is charged. */
  spend(grant: Grant, proof: SpendableProof): Promise<void>;
}
