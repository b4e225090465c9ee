import type { Context } from "hono";
import { bearerCredential } from "../base/bearer.ts";
import { systemClock } from "../base/clock.ts";
import { type Endpoint, type Input, scopeOf, type UseEvent } from "../base/endpoint.ts";
import { Problem } from "../base/problem.ts";
import type { Authentication, Caller, MemberCaller, Role, TokenCaller } from "../identity/caller.ts";
import type { ApiEnv } from "./context.ts";
import { requireFresh } from "./step-up.ts";

/** Who comes through an endpoint's door, before any input is looked at; null where nobody is asked for. */
export async function admit(endpoint: Endpoint, c: Context<ApiEnv>): Promise<Caller | null> {
  const { access } = endpoint;
  if (access === "public") return null;
  if (access === "bootstrap" || access === "operator") {
    const credential = bearerCredential(c.req.raw.headers.get("authorization"));
    const { members, tenantCreation } = c.get("services");
    if (access === "operator") tenantCreation.checkOperatorCredential(credential);
    else members.checkBootstrapCredential(credential);
    return null;
  }
  const caller = await admitAuthenticated(endpoint, c.get("auth"));
  if (caller.kind === "token" && scopeOf(endpoint) === null) await c.get("auth").spendProof();
  if (endpoint.stepUp && caller.kind === "member") requireFresh(caller, systemClock());
  if (endpoint.vetted && caller.kind === "member") await c.get("services").kinship.requireVetted(caller);
  if (endpoint.trail && caller.kind === "member") await c.get("services").revealGrants.requireTrail(caller);
  return caller;
}

async function admitAuthenticated(endpoint: Endpoint, auth: Authentication): Promise<Caller> {
  const { access } = endpoint;
  if (access === "any" || typeof access === "string") return auth.caller();
  // Charging identifies, too, and no input stands in between.
  if (hasNoInput(endpoint) && scopeOf(endpoint) !== null) return charge(endpoint, auth, "*");
  const caller = await auth.caller();
  if (caller.kind === "agent" && access.agent) return caller;
  if (caller.kind === "token" && access.token) return caller;
  if (access.roles !== undefined) return admitMember(auth, rolesOf(endpoint), access.person === true);
  if (access.agent) return auth.agent();
  throw new Problem("ROLE_DENIED", "This needs a scoped token.");
}

async function admitMember(
  auth: Authentication,
  roles: readonly Role[],
  person: boolean,
): Promise<MemberCaller> {
  const member = await auth.member(...roles);
  if (!person || !member.script) return member;
  throw new Problem("ROLE_DENIED", "This needs a person, and a credential for scripts called.", {
    why: "Sign in as yourself.",
  });
}

/**
 * What stands between an admitted caller and the handler once the input is known: a token's scope, and its charge.
 * `settled` throws where a handler left it out that had to do it itself.
 */
export function charging(endpoint: Endpoint, auth: Authentication, admitted: Caller | null) {
  let isDue = admitted?.kind === "token" && scopeOf(endpoint) !== null && !hasNoInput(endpoint);
  const chargeFor = async (target: string, event?: UseEvent): Promise<MemberCaller | TokenCaller> => {
    const caller = await charge(endpoint, auth, target, event);
    isDue = false;
    return caller;
  };
  return {
    charge: chargeFor,
    async chargeTarget(input: Input): Promise<void> {
      if (isDue && endpoint.target !== undefined) await chargeFor(endpoint.target(input));
    },
    settled(): void {
      if (isDue) throw new Error(`${endpoint.operationId} answered a token without charging it`);
    },
  };
}

function charge(endpoint: Endpoint, auth: Authentication, target: string, event: UseEvent = "token.used") {
  const scope = scopeOf(endpoint);
  if (scope === null) throw new Error(`${endpoint.operationId} charges tokens without a scope`);
  return auth.memberOrToken(rolesOf(endpoint), { ...scope, target, eventType: event });
}

function hasNoInput({ params, query, body }: Endpoint): boolean {
  return params === undefined && query === undefined && body === undefined;
}

/** The table of endpoints has forgotten that a declaration's roles were typed as Role (`declareFor<Api>`). */
function rolesOf({ access }: Endpoint): readonly Role[] {
  return typeof access === "string" ? [] : ((access.roles ?? []) as readonly Role[]);
}
