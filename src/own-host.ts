import { Problem } from "./base/problem.ts";
import type { DestinationRules } from "./connections/destination.ts";
import type { HostMap } from "./gateway/hosts.ts";

// What follows from the `host[:port]` that a request came in by.

const LOOPBACK = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]+)?$/;

/**
 * Development switches count only in development, and only where the gateway is reached on the loopback interface:
 * a deployment that has them on by mistake answers nothing at all.
 */
export function destinationRules(env: Env, ownHost: string, hosts: HostMap): DestinationRules {
  const development = env.ENVIRONMENT === "development";
  if (env.PRIVATE_UPSTREAMS !== undefined && !(development && LOOPBACK.test(ownHost))) {
    throw new Problem(
      "MISCONFIGURED",
      "PRIVATE_UPSTREAMS is a switch for local development and must not be set here.",
    );
  }
  const ownHosts = [...hosts.ownHosts(), ownHost];
  return { privateAllowed: development && env.PRIVATE_UPSTREAMS === "allow", ownHosts };
}

/**
 * What browsers call this gateway. Always https, whatever a proxy in front makes of it, but for loopback in development.
 */
export function originOf(env: Env, ownHost: string): string {
  const isLocal = env.ENVIRONMENT === "development" && LOOPBACK.test(ownHost);
  return `${isLocal ? "http" : "https"}://${ownHost}`;
}
