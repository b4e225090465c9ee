import type { TokenUse } from "../identity/caller.ts";
import type { Grant } from "../tokens/grant.ts";
import type { ClientRequest } from "./client-address.ts";

/** What the door asks of scoped tokens on control-plane calls. Both throw UNAUTHORIZED for whatever is not live. */
export interface TokenUses {
  /**
   * Charges one use and records it, before anything is done with it. Throws SCOPE_DENIED where the grant does not cover
   * the use, ADDRESS_DENIED where it has an allowlist and `request.ip` is null, outside it or `sharedAddress`.
   */
  use(token: string, use: TokenUse, request: ClientRequest): Promise<{ readonly grant: Grant }>;
  /** Whose it is; charges nothing. The door checks the grant's address allowlist. */
  identify(token: string): Promise<Grant>;
}
