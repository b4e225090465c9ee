import rapidoc from "rapidoc/dist/rapidoc-min.js.gz";
import { z } from "zod";
import { declareFor, type Endpoint } from "../base/endpoint.ts";
import type { Api } from "./context.ts";
import { describeApi } from "./openapi.ts";
import { gzipped } from "./pages/gzipped.ts";

const endpoint = declareFor<Api>();
const tag = "Reference";

/**
 * Everything comes from this origin, and nothing in the page is inline but the styles that the reference's own
 * elements carry: what an attacker gets into a description runs nothing and tells nobody.
 */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Valetkey API</title>
    <link rel="icon" href="data:,">
    <script type="module" src="/docs/rapidoc.js"></script>
  </head>
  <body>
    <rapi-doc spec-url="/v1/openapi.json" render-style="read" theme="light" primary-color="#1d5fd1"
      load-fonts="false" regular-font="system-ui, sans-serif" mono-font="ui-monospace, monospace"
      show-header="false" allow-server-selection="false" allow-spec-url-load="false" allow-spec-file-load="false"
      allow-spec-file-download="false" show-method-in-nav-bar="as-colored-text" schema-style="table"
      persist-auth="false" use-path-in-nav-bar="false"></rapi-doc>
  </body>
</html>
`;

const documentSchema = z.looseObject({
  openapi: z.literal("3.1.1"),
  info: z.looseObject({ version: z.string() }),
  paths: z.record(z.string(), z.unknown()),
});

/** The API's description of itself. `table` is asked when the first client is: it holds these endpoints, too. */
export function referenceEndpoints(table: () => readonly Endpoint[]): readonly Endpoint[] {
  let document: string | undefined;
  return [
    endpoint({
      method: "GET",
      path: "/v1/openapi.json",
      operationId: "getOpenApi",
      tag,
      summary: "This description, as OpenAPI 3.1",
      access: "public",
      responses: { 200: documentSchema },
      handler: ({ c }) => {
        document ??= JSON.stringify(describeApi(table(), c.get("services").deployment.version));
        return c.body(document, 200, { "content-type": "application/json" });
      },
    }),

    endpoint({
      method: "GET",
      path: "/docs",
      operationId: "getReferencePage",
      tag,
      summary: "This description, as a page",
      access: "public",
      responses: { 200: { media: { "text/html": null } } },
      handler: ({ c }) => c.html(PAGE, 200, { "content-security-policy": PAGE_POLICY }),
    }),

    endpoint({
      method: "GET",
      path: "/docs/rapidoc.js",
      operationId: "getReferenceScript",
      tag,
      summary: "The page's script (RapiDoc)",
      access: "public",
      responses: { 200: { media: { "text/javascript": null } } },
      handler: ({ c }) =>
        gzipped(rapidoc, "text/javascript; charset=utf-8", c.req.raw.headers.get("accept-encoding")),
    }),
  ];
}
