import type { AgentId, AgentKeyId, MemberId, TenantId } from "../base/ids.ts";
import type { RequestInfo } from "../base/request.ts";
import type { Grant } from "../tokens/grant.ts";

export type Role = "admin" | "editor" | "viewer" | "auditor";

interface CallerBase {
  readonly tenantId: TenantId;
  /** How the audit trail names it: `member:mem_…`, `agent:agt_…`. */
  readonly actor: string;
  readonly request: RequestInfo;
}

export interface MemberCaller extends CallerBase {
  readonly kind: "member";
  readonly memberId: MemberId;
  readonly name: string;
  readonly role: Role;
  readonly script: boolean;
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
}
