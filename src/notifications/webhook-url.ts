import { Problem } from "../base/problem.ts";
import { type DestinationRules, parseDestination } from "../connections/destination.ts";

/**
 * Throws DESTINATION_DENIED for a URL that nothing is sent to: by the rules for connections (attack 91), so no http, no
 * address, no private or special-use name and none of the gateway's own outside development. A query is allowed, since
 * receivers know their senders by one. A name that resolves to a private address is not seen here: on Cloudflare's edge
 * `fetch` reaches public addresses only (`global_fetch_strictly_public`), elsewhere the network has to see to it.
 */
export function checkWebhookUrl(url: string, rules: DestinationRules): void {
  const [base = "", query] = url.split("?", 2);
  parseDestination(base, rules);
  const read = new URL(url).href;
  if (url.includes("#") || (read !== url && !(query === undefined && read === `${url}/`))) {
    throw new Problem("DESTINATION_DENIED", "The URL is not spelled canonically.", {
      why: "No fragment, and no characters that need escaping.",
    });
  }
}
