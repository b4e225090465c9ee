import { declareFor } from "../../base/endpoint.ts";
import { passkeyOrigin } from "../../base/loopback.ts";
import type { Api } from "../context.ts";
import { gzipped } from "./gzipped.ts";
import client from "./sign-in-client.js.gz";
import { SIGN_IN_STYLE } from "./sign-in-style.ts";

const endpoint = declareFor<Api>();
const tag = "Sessions";

/**
 * Nothing runs or loads but this origin's own files, nothing is written into the page as HTML, and no other page may
 * frame this one (attack 85: clickjacking).
 */
const HEADERS = {
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; "),
  "x-frame-options": "DENY",
  "cross-origin-opener-policy": "same-origin",
  "permissions-policy": "publickey-credentials-get=(self), publickey-credentials-create=(self)",
};

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Sign in · Valetkey</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/auth/page.css">
    <script type="module" src="/auth/page.js"></script>
  </head>
  <body>
    <main>
      <header>
        <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><circle cx="7.5" cy="15.5" r="4.5"/><path d="m11 12 9-9m-4 4 3 3"/></svg>
        <h1>Valetkey</h1>
      </header>
      <noscript><p>This page needs JavaScript: passkeys cannot be used without it.</p></noscript>

      <section id="nobody" aria-label="Sign in" hidden>
        <p>Sign in with the passkey of this device, of your phone or of a security key.</p>
        <button type="button" id="sign-in">Sign in with a passkey</button>
        <details id="register">
          <summary>Register this device</summary>
          <form id="enrol">
            <label for="code">Enrolment code</label>
            <input id="code" name="code" required maxlength="100" autocomplete="off" autocapitalize="off" spellcheck="false" aria-describedby="code-hint">
            <p id="code-hint" class="quiet">From an admin. It is good for 15 minutes and once.</p>
            <label for="device">Name of this device</label>
            <input id="device" name="device" required maxlength="100" autocomplete="off" placeholder="Work laptop">
            <button>Register this device</button>
          </form>
        </details>
      </section>

      <section id="person" aria-label="Signed in" hidden>
        <p>Signed in as <strong id="name"></strong>, <span id="role"></span></p>
        <p class="quiet">Tenant <span id="tenant"></span></p>
        <button type="button" id="sign-out" class="second">Sign out</button>
        <h2>Your passkeys</h2>
        <ul id="passkeys"></ul>
        <details>
          <summary>Register another passkey</summary>
          <form id="add">
            <label for="another">Name of the device</label>
            <input id="another" name="another" required maxlength="100" autocomplete="off" placeholder="Security key">
            <button>Register</button>
          </form>
        </details>
      </section>

      <p id="status" role="status" aria-live="polite"></p>
    </main>
  </body>
</html>
`;

/** `/auth`: who you are, signing in and out, and registering a device. */
export const signInPageEndpoints = [
  endpoint({
    method: "GET",
    path: "/auth",
    operationId: "getSignInPage",
    tag,
    summary: "The page to sign in and out by passkey",
    description: "`return_to` names a page of this gateway's to go on to.",
    access: "public",
    responses: { 200: { media: { "text/html": null } }, 302: null },
    handler: ({ c }) => page(c.req.raw.url, c.get("services").origin),
  }),

  endpoint({
    method: "GET",
    path: "/auth/enrol",
    operationId: "getEnrolmentPage",
    tag,
    summary: "The page to register a device with an enrolment code",
    description: "The code stands behind the `#`, which browsers send to nobody.",
    access: "public",
    responses: { 200: { media: { "text/html": null } }, 302: null },
    handler: ({ c }) => page(c.req.raw.url, c.get("services").origin),
  }),

  endpoint({
    method: "GET",
    path: "/auth/page.js",
    operationId: "getSignInScript",
    tag,
    summary: "The sign-in page's script",
    access: "public",
    responses: { 200: { media: { "text/javascript": null } } },
    handler: ({ c }) =>
      gzipped(client, "text/javascript; charset=utf-8", c.req.raw.headers.get("accept-encoding")),
  }),

  endpoint({
    method: "GET",
    path: "/auth/page.css",
    operationId: "getSignInStyle",
    tag,
    summary: "The sign-in page's style sheet",
    access: "public",
    responses: { 200: { media: { "text/css": null } } },
    handler: ({ c }) => c.body(SIGN_IN_STYLE, 200, { "content-type": "text/css; charset=utf-8" }),
  }),
];

/** Locally, where an address was opened: the same page at `localhost`, which is where passkeys work. */
function page(url: string, origin: string): Response {
  const home = passkeyOrigin(origin);
  if (home === origin) {
    return new Response(PAGE, { headers: { ...HEADERS, "content-type": "text/html; charset=utf-8" } });
  }
  const { pathname, search } = new URL(url);
  return new Response(null, { status: 302, headers: { location: home + pathname + search } });
}
