import { Problem } from "../base/problem.ts";

/** What the platform says of TLS 1.0 to 1.3; everything else (none, an older protocol, a newer one) is not known here. */
const VERSIONS: Readonly<Record<string, number>> = { TLSv1: 0, "TLSv1.1": 1, "TLSv1.2": 2, "TLSv1.3": 3 };
const LEAST: Readonly<Record<string, number>> = { "1.2": 2, "1.3": 3 };

/**
 * Refuses a request that came over a TLS version older than `MIN_TLS`, or over one that the platform does not tell
 * (plain HTTP among them): TLS_TOO_OLD. `setting` is "1.2" (what holds if it is left out) or "1.3"; "terminated" says
 * that TLS ends in front of the gateway, which then cannot know. In development nothing is asked unless it is set.
 * Throws MISCONFIGURED for any other setting.
 *
 * Not 426 (RFC 9110 §15.5.22): that has to name, in `Upgrade`, a protocol to change to on this connection. TLS is not
 * changed on a connection, and HTTP/2 has no `Upgrade` at all (RFC 9113 §8.6).
 */
export function refuseOldTls(
  request: Request,
  { MIN_TLS: setting, ENVIRONMENT }: Pick<Env, "MIN_TLS" | "ENVIRONMENT">,
): void {
  if (setting === "terminated" || (setting === undefined && ENVIRONMENT === "development")) return;
  const least = LEAST[setting ?? "1.2"];
  if (least === undefined) {
    throw new Problem("MISCONFIGURED", 'MIN_TLS must be "1.2", "1.3" or "terminated".');
  }
  const told = request.cf?.["tlsVersion"];
  const version = typeof told === "string" && Object.hasOwn(VERSIONS, told) ? VERSIONS[told] : undefined;
  if (version !== undefined && version >= least) return;
  throw new Problem("TLS_TOO_OLD", `This gateway answers over TLS 1.${least} or later only.`, {
    why: "Connect with a client that speaks it.",
  });
}
