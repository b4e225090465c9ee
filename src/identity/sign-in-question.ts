/**
 * Whether a page of another site sent the browser here, as browsers themselves say. A link in a mail or a bookmark is
 * nobody's page; where a browser says nothing, nothing is known.
 */
export function isFromAnotherSite(headers: Headers): boolean {
  const site = headers.get("sec-fetch-site");
  return site === "cross-site" || site === "same-site";
}

const HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy":
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-frame-options": "DENY",
  "cross-origin-opener-policy": "same-origin",
};

/**
 * Asks the person, before anything is begun, whether they mean to sign in to that tenant. Any page can send a browser
 * here, and an issuer may well answer by itself: without this question a stranger's page could have somebody work in the
 * stranger's tenant, and leave secrets there (login CSRF, attack 94). `path`: where to go on, of this gateway's.
 */
export function signInQuestion(asked: { tenant: string; issuer: string; path: string }): Response {
  const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Sign in · Valetkey</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/auth/page.css">
  </head>
  <body>
    <main>
      <h1>Sign in to ${escaped(asked.tenant)}?</h1>
      <p>Another site sent you here. What you do once you are signed in is done for <strong>${escaped(asked.tenant)}</strong>.</p>
      <p class="quiet">${escaped(new URL(asked.issuer).host)} will say who you are.</p>
      <p><a href="${escaped(asked.path)}">Sign in</a></p>
    </main>
  </body>
</html>
`;
  return new Response(page, { headers: HEADERS });
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
}
