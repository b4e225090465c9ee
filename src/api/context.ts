import type { Services } from "../services.ts";
import type { Authentication } from "../identity/caller.ts";
import type { ClientRequest } from "./client-address.ts";

/** What a route sees of the deployment: services by room, who calls, and from where. */
export interface ApiEnv {
  readonly Bindings: Env;
  readonly Variables: {
    readonly services: Services;
    readonly auth: Authentication;
    readonly request: ClientRequest;
    readonly requestId: string;
  };
}
