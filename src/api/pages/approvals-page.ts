import { z } from "zod";
import { declareFor } from "../../base/endpoint.ts";
import type { Api } from "../context.ts";
import client from "./approvals-client.js.gz";
import { APPROVALS_STYLE } from "./approvals-style.ts";
import { gzipped } from "./gzipped.ts";
import { answerPage, EMBLEM } from "./page-frame.ts";

const endpoint = declareFor<Api>();
const tag = "Approvals";
const html = { 200: { media: { "text/html": null } } };

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="referrer" content="no-referrer">
    <title>Approvals · Valetkey</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/approvals/page.css">
    <script type="module" src="/approvals/page.js"></script>
  </head>
  <body>
    <header>
      <a href="/approvals" id="home">${EMBLEM}<span>Approvals</span></a>
      <p id="live" class="quiet"></p>
      <a href="/auth" id="who" hidden></a>
    </header>
    <main id="view" tabindex="-1" aria-busy="true">
      <noscript><p>This page needs JavaScript. <code>GET /v1/approvals</code> has the same.</p></noscript>
    </main>
    <p id="status" role="status" aria-live="polite"></p>
  </body>
</html>
`;

/**
 * `/approvals`: where people answer. The pages are the same for whoever asks and change nothing, so that a link alone
 * neither tells nor decides anything: what waits is asked for, and answered, by their script with the person's session.
 */
export const approvalsPageEndpoints = [
  endpoint({
    method: "GET",
    path: "/approvals",
    operationId: "getApprovalsPage",
    tag,
    summary: "The page with what waits for people",
    access: "public",
    responses: html,
    handler: () => answerPage(PAGE),
  }),

  endpoint({
    method: "GET",
    path: "/approvals/page.js",
    operationId: "getApprovalsScript",
    tag,
    summary: "The script of the pages on approvals",
    access: "public",
    responses: { 200: { media: { "text/javascript": null } } },
    handler: ({ c }) =>
      gzipped(client, "text/javascript; charset=utf-8", c.req.raw.headers.get("accept-encoding")),
  }),

  endpoint({
    method: "GET",
    path: "/approvals/page.css",
    operationId: "getApprovalsStyle",
    tag,
    summary: "The style sheet of the pages on approvals",
    access: "public",
    responses: { 200: { media: { "text/css": null } } },
    handler: ({ c }) => c.body(APPROVALS_STYLE, 200, { "content-type": "text/css; charset=utf-8" }),
  }),

  endpoint({
    method: "GET",
    path: "/approvals/{id}",
    operationId: "getApprovalPage",
    tag,
    summary: "The page on which one request is looked at and answered",
    description:
      "Where links in messages lead. Opening it answers nothing; signed out, it leads to `/auth` and back.",
    access: "public",
    params: z.strictObject({ id: z.string().max(100).describe("The approval's.") }),
    responses: html,
    handler: () => answerPage(PAGE),
  }),
];
