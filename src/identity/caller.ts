import type { AgentId, AgentKeyId, MemberId, SessionId, TenantId } from "../base/ids.ts";
import type { RequestInfo } from "../base/request.ts";
import type { Grant } from "../tokens/grant.ts";

export type Role = "admin" | "editor" | "viewer" | "auditor";

interface CallerBase {
  readonly tenantId: TenantId;
  /** How the audit trail names it: `member:mem_…`, `agent:agt_…`. */
  readonly actor: string;
  readonly request: RequestInfo;
}

/** `id_token` and `cloudflare_access`: the token itself came with the request, there is no session. */
export type SignInMethod = "oidc" | "passkey" | "id_token" | "cloudflare_access";

/** How a person showed who they are. */
export interface SignIn {
  readonly method: SignInMethod;
  /** When they last did, in milliseconds since 1970; null where the identity provider does not tell. */
  readonly authenticatedAt: number | null;
  readonly sessionId: SessionId | null;
}

export interface MemberCaller extends CallerBase {
  readonly kind: "member";
  readonly memberId: MemberId;
  readonly name: string;
  readonly role: Role;
  readonly script: boolean;
  /** Left out for who came with a credential, `vkm_…`: that is no sign-in. */
  readonly signIn?: SignIn;
}

export interface AgentCaller extends CallerBase {
  readonly kind: "agent";
  readonly agentId: AgentId;
  readonly keyId: AgentKeyId;
}

export interface TokenCaller extends CallerBase {
  readonly kind: "token";
  readonly grant: Grant;
}

export type Caller = MemberCaller | AgentCaller | TokenCaller;

/** What a token must be allowed to do for a control-plane call, and how the ledger will name it. */
export interface TokenUse {
  readonly resource: "secrets" | "namespaces";
  readonly action: "read" | "write" | "delete";
  /** The path or namespace the scope's pattern must cover. */
  readonly target: string;
  readonly eventType: "secret.read" | "token.used";
}

/** Who stands behind the request at hand. Every method throws UNAUTHORIZED, ROLE_DENIED or SCOPE_DENIED. */
export interface Authentication {
  caller(): Promise<Caller>;
  member(...roles: readonly Role[]): Promise<MemberCaller>;
  agent(): Promise<AgentCaller>;
  /** A member of one of the roles, or a token whose scopes cover the use; the token is charged one use. */
  memberOrToken(roles: readonly Role[], use: TokenUse): Promise<MemberCaller | TokenCaller>;
  /** What a token that is not charged has proven is good for this one request (attack 58). */
  spendProof(): Promise<void>;
}
