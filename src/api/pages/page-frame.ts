/**
 * Nothing runs or loads but this origin's own files, nothing is written into a page as HTML, and no other page may
 * frame one (attack 85: clickjacking; attack 86).
 */
const HEADERS = {
  "content-type": "text/html; charset=utf-8",
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

/** Answers with a page, whoever asks: it is a shell, and what is in it its script asks for. */
export function answerPage(html: string): Response {
  return new Response(html, { headers: HEADERS });
}

/** The key, as markup. */
export const EMBLEM = `<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><circle cx="7.5" cy="15.5" r="4.5"/><path d="m11 12 9-9m-4 4 3 3"/></svg>`;

/** The colours of all pages, in light and dark: text on its ground has a contrast of at least 4.5 (WCAG 2.2, 1.4.3). */
export const COLOURS = `
:root {
  color-scheme: light dark;
  --ink: light-dark(#16202e, #e8edf4);
  --quiet: light-dark(#526074, #a3b0c2);
  --paper: light-dark(#f3f5f9, #0f1520);
  --card: light-dark(#ffffff, #182130);
  --line: light-dark(#8593a8, #617087);
  --rule: light-dark(#dfe4ec, #2b3648);
  --key: light-dark(#1d5fd1, #8ab4ff);
  --on-key: light-dark(#ffffff, #0b1a33);
  --bad: light-dark(#a8201a, #ff9c94);
  --good: light-dark(#146c3c, #7fd8a4);
}
`;
