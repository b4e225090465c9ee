import type { Context } from "hono";
import type { Endpoint } from "../base/endpoint.ts";
import type { Services } from "../services.ts";
import type { AgentCaller, Authentication, MemberCaller, Role, TokenCaller } from "../identity/caller.ts";
import type { ClientRequest } from "./client-address.ts";
import type { Taken } from "./rate-limits.ts";

/** What a route sees of the deployment: services by room, who calls, and from where. */
export interface ApiEnv {
  readonly Bindings: Env;
  readonly Variables: {
    readonly services: Services;
    readonly auth: Authentication;
    readonly request: ClientRequest;
    readonly requestId: string;
    /** Of the quota that applied, once one did. */
    readonly taken: Taken | undefined;
    /** How the endpoint refuses, once it is known. */
    readonly refusals?: Endpoint["refusals"];
  };
}

/** What `declareFor` is to know of this API. */
export interface Api {
  readonly context: Context<ApiEnv>;
  readonly role: Role;
  readonly member: MemberCaller;
  readonly agent: AgentCaller;
  readonly token: TokenCaller;
}
