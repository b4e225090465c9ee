import { Problem } from "../base/problem.ts";

const ORIGIN = /^https:\/\/[a-z0-9.-]+(?::[1-9][0-9]{0,4})?$/;
const LOCAL = /^http:\/\/(?:localhost|127\.0\.0\.1)(?::[1-9][0-9]{0,4})?$/;

/**
 * Where messages lead people: what the operator has set (GATEWAY_ORIGIN), else the origin that a receiver was made
 * through. Throws MISCONFIGURED for a setting that is none.
 */
export function linkOrigin(configured: string | undefined, through: string, environment: string): string {
  if (configured === undefined || configured === "") return through;
  if (ORIGIN.test(configured) || (environment === "development" && LOCAL.test(configured))) return configured;
  throw new Problem("MISCONFIGURED", "GATEWAY_ORIGIN must be an origin such as https://gateway.example.com.");
}
