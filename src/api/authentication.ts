import { inAllowlist } from "../base/address.ts";
import { isProofRefusal, presentedCredential, unauthorized } from "../base/bearer.ts";
import { idSchema } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { AgentKeys } from "../identity/agent-keys.ts";
import type {
  AgentCaller,
  Authentication,
  Caller,
  MemberCaller,
  Role,
  SignIn,
  TokenCaller,
  TokenUse,
} from "../identity/caller.ts";
import { clientUrl, type SpendableProof } from "../identity/dpop/presented.ts";
import type { Member, Members } from "../identity/members.ts";
import type { Grant } from "../tokens/grant.ts";
import type { PresentedTokens } from "../identity/presented-tokens.ts";
import type { Sessions } from "../identity/sessions.ts";
import type { ClientRequest } from "./client-address.ts";
import { requireSameOrigin } from "../base/same-origin.ts";
import type { TokenUses } from "./token-uses.ts";

/**
 * Who stands behind one request: by `Authorization` if it has one, whatever else it has; else by the session's cookie;
 * else by the token of Cloudflare Access in front. A bearer that is not live is never made good by what a browser adds
 * by itself. Looks each credential up once.
 */
export class RequestAuthentication implements Authentication {
  readonly #incoming: Request;
  readonly #credential: string | null;
  readonly #scheme: "bearer" | "dpop";
  readonly #request: ClientRequest;
  readonly #agents: { readonly keys: Pick<AgentKeys, "authenticate" | "seen"> };
  readonly #members: Pick<Members, "authenticate">;
  readonly #sessions: Pick<Sessions, "authenticate" | "cookie">;
  readonly #presentedTokens: Pick<PresentedTokens, "authenticate">;
  readonly #origin: string;
  readonly #tokenUses: TokenUses;
  #caller: Promise<Caller> | undefined;
  #unspent: { readonly grant: Grant; readonly proof: SpendableProof } | null = null;

  constructor(parts: {
    readonly incoming: Request;
    readonly request: ClientRequest;
    /** The gateway's own, `https://host[:port]`. */
    readonly origin: string;
    readonly agents: { readonly keys: Pick<AgentKeys, "authenticate" | "seen"> };
    readonly members: Pick<Members, "authenticate">;
    readonly sessions: Pick<Sessions, "authenticate" | "cookie">;
    readonly presentedTokens: Pick<PresentedTokens, "authenticate">;
    readonly tokenUses: TokenUses;
  }) {
    this.#incoming = parts.incoming;
    const presented = presentedCredential(parts.incoming.headers.get("authorization"));
    this.#scheme = presented?.scheme ?? "bearer";
    // Only scoped tokens are ever bound to a key.
    const isTaken = this.#scheme === "bearer" || presented?.credential.startsWith("vkt_") === true;
    this.#credential = isTaken ? (presented?.credential ?? null) : null;
    this.#request = parts.request;
    this.#agents = parts.agents;
    this.#members = parts.members;
    this.#sessions = parts.sessions;
    this.#presentedTokens = parts.presentedTokens;
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
    const presented = this.#presentedToken(credential);
    const { grant } = await sameRefusal(this.#tokenUses.use(presented, use, this.#request));
    const caller = this.#tokenCaller(grant);
    this.#caller = Promise.resolve(caller);
    return caller;
  }

  async spendProof(): Promise<void> {
    const unspent = this.#unspent;
    this.#unspent = null;
    if (unspent !== null) await this.#tokenUses.spend(unspent.grant, unspent.proof);
  }

  #presentedToken(token: string) {
    const { headers, method, url } = this.#incoming;
    const proof = headers.get("dpop");
    return { token, scheme: this.#scheme, proof, method, url: clientUrl(this.#origin, url) };
  }

  async #identify(): Promise<Caller> {
    const credential = this.#credential;
    if (credential?.startsWith("vka_")) return this.#identifyAgent(credential);
    if (credential?.startsWith("vkm_")) return this.#identifyMember(credential);
    if (credential?.startsWith("vkt_")) {
      const shown = this.#tokenUses.present(this.#presentedToken(credential));
      const { grant, proof } = await sameRefusal(shown);
      if (proof !== null) this.#unspent = { grant, proof };
      this.#checkAddress(grant.ipAllowlist);
      return this.#tokenCaller(grant);
    }
    const person =
      credential !== null && credential.includes(".")
        ? await this.#presented("oidc", credential)
        : await this.#browser();
    if (person === null) throw unauthorized();
    return { kind: "member", ...person, actor: `member:${person.memberId}`, request: this.#request };
  }

  /** What a browser, or Access in front of it, adds to every request, whichever page made it send that. */
  async #browser(): Promise<(Member & { readonly signIn: SignIn }) | null> {
    const { headers } = this.#incoming;
    if (headers.has("authorization")) return null;
    const session = this.#sessions.cookie.read(headers.get("cookie"));
    const assertion = headers.get("cf-access-jwt-assertion");
    const person =
      (session === null ? null : await this.#sessions.authenticate(session)) ??
      (assertion === null ? null : await this.#presented("cloudflare_access", assertion));
    if (person !== null) requireSameOrigin(this.#incoming, this.#origin);
    return person;
  }

  #presented(kind: "oidc" | "cloudflare_access", token: string) {
    const named = this.#incoming.headers.get("x-valetkey-tenant");
    const tenant = named === null ? null : idSchema("tenant").safeParse(named);
    if (tenant?.success === false) return Promise.resolve(null);
    return this.#presentedTokens.authenticate({
      ...{ kind, token, tenantId: tenant?.data ?? null, request: this.#request },
    });
  }

  async #identifyAgent(key: string): Promise<AgentCaller> {
    const holder = await this.#agents.keys.authenticate(key);
    if (holder === null) throw unauthorized();
    this.#checkAddress(holder.ipAllowlist);
    this.#agents.keys.seen(holder);
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
    const isDead = error instanceof Problem && error.code === "UNAUTHORIZED" && !isProofRefusal(error);
    throw isDead ? unauthorized() : error;
  }
}
