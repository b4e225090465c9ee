import { declareFor } from "../../base/endpoint.ts";
import { passkeyOrigin } from "../../base/loopback.ts";
import type { Api } from "../context.ts";
import { gzipped } from "./gzipped.ts";
import { answerPage, EMBLEM } from "./page-frame.ts";
import client from "./sign-in-client.js.gz";
import { SIGN_IN_STYLE } from "./sign-in-style.ts";

const endpoint = declareFor<Api>();
const tag = "Sessions";

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
        ${EMBLEM}
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
        <details id="organisation">
          <summary>Sign in by your organisation</summary>
          <form id="issuer">
            <label for="of">Tenant</label>
            <input id="of" name="of" required maxlength="60" pattern="ten_[0-9a-z_]+" autocomplete="off" autocapitalize="off" spellcheck="false" aria-describedby="of-hint">
            <p id="of-hint" class="quiet">Such as ten_0123456789abcdef. From an admin; this device remembers it.</p>
            <button>Go on to its identity provider</button>
          </form>
        </details>
      </section>

      <section id="person" aria-label="Signed in" hidden>
        <p>Signed in as <strong id="name"></strong>, <span id="role"></span></p>
        <p class="quiet">Tenant <span id="tenant"></span></p>
        <p id="next" hidden><a>Go on to the page you came for</a></p>
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
  if (home === origin) return answerPage(PAGE);
  const { pathname, search } = new URL(url);
  return new Response(null, { status: 302, headers: { location: home + pathname + search } });
}
