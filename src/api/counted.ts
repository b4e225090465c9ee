import type { Context } from "hono";
import type { Endpoint } from "../base/endpoint.ts";
import { Problem } from "../base/problem.ts";
import type { Caller } from "../identity/caller.ts";
import { admit } from "./admit.ts";
import type { ApiEnv } from "./context.ts";
import { type Taken, tooMany } from "./rate-limits.ts";

/** `admit`, counted: throws RATE_LIMITED for who calls too often, and tells in the answer how much is left. */
export async function admitCounted(endpoint: Endpoint, c: Context<ApiEnv>): Promise<Caller | null> {
  const { rateLimits } = c.get("services");
  const { ip } = c.get("request");
  const count = (taken: Taken): void => {
    c.set("taken", taken);
    if (!taken.verdict.allowed) throw tooMany(taken);
  };
  if (endpoint.access === "public") {
    count(rateLimits.ofAddress(ip, endpoint));
    return null;
  }
  const credential = credentialOf(c.req.raw.headers);
  const spent = rateLimits.failuresLeft(ip, credential);
  if (spent !== null) count(spent);
  if (endpoint.access === "bootstrap" || endpoint.access === "operator")
    count(rateLimits.ofAddress(ip, endpoint));
  let caller: Caller | null;
  try {
    caller = await admit(endpoint, c);
  } catch (error) {
    if (error instanceof Problem && error.code === "UNAUTHORIZED") rateLimits.noteFailure(ip);
    throw error;
  }
  if (caller === null) return null;
  rateLimits.noteGood(credential);
  count(await rateLimits.ofCaller(caller, endpoint));
  return caller;
}

function credentialOf(headers: Headers): string {
  const shown = ["authorization", "cookie", "cf-access-jwt-assertion"].map((name) => headers.get(name));
  return JSON.stringify(shown);
}
