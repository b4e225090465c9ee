import { Problem } from "./problem.ts";

/** Methods that change nothing here (RFC 9110 §9.2.1). */
const SAFE = new Set(["GET", "HEAD"]);

/**
 * A browser attaches cookies, and Cloudflare Access its token, to whatever any page makes it send. So a change that
 * rests on them has to show that a page of our own sent it: by `Origin`, which no page can set, or where a browser
 * leaves that out by `Sec-Fetch-Site`. Throws CSRF_REFUSED (attack 85).
 */
export function requireSameOrigin(request: Request, ownOrigin: string): void {
  if (!SAFE.has(request.method)) requireOwnPage(request, ownOrigin);
}

/** The same whatever the method: a WebSocket is opened by a GET, from any page, and then talks (RFC 6455 §10.2). */
export function requireOwnPage({ headers }: Request, ownOrigin: string): void {
  const origin = headers.get("origin");
  if (origin === null ? headers.get("sec-fetch-site") === "same-origin" : origin === ownOrigin) return;
  throw new Problem("CSRF_REFUSED", "Nothing shows that one of the gateway's own pages sent this.", {
    why: `Send it from a page of ${ownOrigin}, whose browser says so in \`Origin\`, or use a credential in \`Authorization\`.`,
  });
}
