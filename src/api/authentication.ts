import { inAllowlist } from "../base/address.ts";
import { bearerCredential, unauthorized } from "../base/bearer.ts";
import { Problem } from "../base/problem.ts";
import type { Agents } from "../identity/agents.ts";
import type {
  AgentCaller,
  Authentication,
  Caller,
  MemberCaller,
  Role,
  TokenCaller,
  TokenUse,
} from "../identity/caller.ts";
import type { Members } from "../identity/members.ts";
import type { Grant } from "../tokens/grant.ts";
import type { Sessions } from "../identity/sessions.ts";
import type { ClientRequest } from "./client-address.ts";
import { requireSameOrigin } from "../base/same-origin.ts";
import type { TokenUses } from "./token-uses.ts";

/**
 * Who stands behind one request: by `Authorization` if it has one, whatever else it has; else by the session's cookie.
 * A bearer that is not live is never made good by a cookie. Looks each credential up once.
 */
export class RequestAuthentication implements Authentication {
  readonly #incoming: Request;
  readonly #credential: string | null;
  readonly #request: ClientRequest;
  readonly #agents: Pick<Agents, "authenticate">;
  readonly #members: Pick<Members, "authenticate">;
  readonly #sessions: Pick<Sessions, "authenticate" | "cookie">;
  readonly #origin: string;
  readonly #tokenUses: TokenUses;
  #caller: Promise<Caller> | undefined;

  constructor(parts: {
    readonly incoming: Request;
    readonly request: ClientRequest;
    /** The gateway's own, `https://host[:port]`. */
    readonly origin: string;
    readonly agents: Pick<Agents, "authenticate">;
    readonly members: Pick<Members, "authenticate">;
    readonly sessions: Pick<Sessions, "authenticate" | "cookie">;
    readonly tokenUses: TokenUses;
  }) {
    this.#incoming = parts.incoming;
    this.#credential = bearerCredential(parts.incoming.headers.get("authorization"));
    this.#request = parts.request;
    this.#agents = parts.agents;
    this.#members = parts.members;
    this.#sessions = parts.sessions;
    this.#origin = parts.origin;
    this.#tokenUses = parts.tokenUses;
  }

  caller(): Promise<Caller> {
    this.#caller ??= this.#identify();
    return this.#caller;
  }

  async member(...roles: readonly Role[]): Promise<MemberCaller> {
    return memberOf(roles, await this.caller());
  }

  async agent(): Promise<AgentCaller> {
    const caller = await this.caller();
    if (caller.kind === "agent") return caller;
    throw new Problem("ROLE_DENIED", `This needs an agent key, and ${describe(caller)} called.`);
  }

  async memberOrToken(roles: readonly Role[], use: TokenUse): Promise<MemberCaller | TokenCaller> {
    const credential = this.#credential;
    if (!credential?.startsWith("vkt_")) return memberOf(roles, await this.caller());
    const { grant } = await sameRefusal(this.#tokenUses.use(credential, use, this.#request));
    const caller = this.#tokenCaller(grant);
    this.#caller = Promise.resolve(caller);
    return caller;
  }

  async #identify(): Promise<Caller> {
    const credential = this.#credential;
    if (credential?.startsWith("vka_")) return this.#identifyAgent(credential);
    if (credential?.startsWith("vkm_")) return this.#identifyMember(credential);
    if (credential?.startsWith("vkt_")) {
      const grant = await sameRefusal(this.#tokenUses.identify(credential));
      this.#checkAddress(grant.ipAllowlist);
      return this.#tokenCaller(grant);
    }
    if (!this.#incoming.headers.has("authorization")) return this.#identifyBrowser();
    throw unauthorized();
  }

  async #identifyBrowser(): Promise<MemberCaller> {
    const token = this.#sessions.cookie.read(this.#incoming.headers.get("cookie"));
    const person = token === null ? null : await this.#sessions.authenticate(token);
    if (person === null) throw unauthorized();
    requireSameOrigin(this.#incoming, this.#origin);
    return { kind: "member", ...person, actor: `member:${person.memberId}`, request: this.#request };
  }

  async #identifyAgent(key: string): Promise<AgentCaller> {
    const holder = await this.#agents.authenticate(key);
    if (holder === null) throw unauthorized();
    this.#checkAddress(holder.ipAllowlist);
    const { tenantId, agentId, keyId } = holder;
    return { kind: "agent", tenantId, agentId, keyId, actor: `agent:${agentId}`, request: this.#request };
  }

  async #identifyMember(credential: string): Promise<MemberCaller> {
    const member = await this.#members.authenticate(credential);
    if (member === null) throw unauthorized();
    return { kind: "member", ...member, actor: `member:${member.memberId}`, request: this.#request };
  }

  #tokenCaller(grant: Grant): TokenCaller {
    const { tenantId, agentId } = grant;
    return { kind: "token", tenantId, grant, actor: `agent:${agentId}`, request: this.#request };
  }

  /** Fails closed where there is a list and no address that means anything (attacks 61, 62). */
  #checkAddress(allowlist: readonly string[]): void {
    if (allowlist.length === 0) return;
    const { ip, sharedAddress } = this.#request;
    if (ip !== null && !sharedAddress && inAllowlist(ip, allowlist)) return;
    throw new Problem("ADDRESS_DENIED", "This credential may not be used from this address.");
  }
}

function memberOf(roles: readonly Role[], caller: Caller): MemberCaller {
  if (caller.kind === "member" && roles.includes(caller.role)) return caller;
  throw new Problem(
    "ROLE_DENIED",
    `This needs a member with the role ${roles.join(" or ")}, and ${describe(caller)} called.`,
  );
}

function describe(caller: Caller): string {
  switch (caller.kind) {
    case "member":
      return `one with the role ${caller.role}`;
    case "agent":
      return "an agent key";
    case "token":
      return "a token";
  }
}

/** Whatever the reason, a credential that is not live gets the same answer (attack 57). */
async function sameRefusal<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    throw error instanceof Problem && error.code === "UNAUTHORIZED" ? unauthorized() : error;
  }
}
