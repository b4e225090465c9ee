import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { acceptedExportMedia, EXPORT_MEDIA } from "../base/export-format.ts";
import { exportHeaders, exportStream } from "../base/export-stream.ts";
import { Problem } from "../base/problem.ts";
import { allows, patternsOf } from "../base/scope.ts";
import type { MemberCaller, TokenCaller } from "../identity/caller.ts";
import { renderDeleted, renderListed } from "./render.ts";
import { secretListSchema } from "./responses.ts";
import { exportQuerySchema, filterOf, listQuerySchema } from "./schemas.ts";
import { EXPORT_COLUMNS } from "./secret-export.ts";

const endpoint = declareFor<Api>();
const tag = "Secrets";
const READERS = ["admin", "editor", "viewer"] as const;

/** Looking for secrets: never their values. */
export const secretListEndpoints = [
  endpoint({
    method: "GET",
    path: "/v1/secrets",
    operationId: "listSecrets",
    tag,
    summary: "Find secrets: never their values",
    description:
      "By path. Tokens find what their `secrets:read` scopes cover, as if there were nothing else. The cursor stays right while secrets come and go.",
    access: { roles: READERS, token: { resource: "secrets", action: "read" } },
    query: listQuerySchema,
    responses: { 200: secretListSchema },
    handler: async ({ caller, query: { limit, cursor, deleted, ...query }, charge, c }) => {
      const { vault } = c.get("services");
      const filter = filterOf(query);
      if (deleted && !(caller.kind === "member" && caller.role !== "viewer")) {
        throw new Problem("ROLE_DENIED", "Deleted secrets are listed for the roles admin and editor.");
      }
      await charge(readable(caller, filter.namespace));
      const found = await vault.index.search(
        caller.tenantId,
        { ...filter, deleted, within: patternsIn(caller) },
        { limit, cursor },
      );
      const now = vault.now();
      const render = deleted ? renderDeleted : renderListed;
      const items = found.items.map((secret) => render(secret, now));
      return c.json({ namespace: filter.namespace, items, next_cursor: found.nextCursor });
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/secrets/export",
    operationId: "exportSecrets",
    tag,
    summary: "What is known about all secrets, as NDJSON, JSON or CSV: never their values",
    description:
      "The form is what `Accept` likes best: `application/x-ndjson` (also if nothing is said), `application/json` or `text/csv`. No CSV cell is taken for a formula. Recorded as `secret.exported`.",
    access: { roles: READERS },
    query: exportQuerySchema,
    responses: {
      200: { media: Object.fromEntries(Object.keys(EXPORT_MEDIA).map((media) => [media, null])) },
    },
    errors: ["NOT_ACCEPTABLE"],
    handler: async ({ caller, query, c }) => {
      const media = acceptedExportMedia(c.req.header("accept") ?? null);
      const pages = await c.get("services").vault.export.begin(caller, filterOf(query), media);
      return new Response(exportStream(media, EXPORT_COLUMNS, pages), {
        headers: exportHeaders(media, "secrets"),
      });
    },
  }),
];

/** The patterns that a token's reading is bound to; undefined: by none. */
function patternsIn(caller: MemberCaller | TokenCaller): readonly string[] | undefined {
  return caller.kind === "member" ? undefined : patternsOf(caller.grant.scopes, "secrets", "read");
}

/** What a token is charged for: a pattern of its own that reaches into the namespace, or what its scope lacks. */
function readable(caller: MemberCaller | TokenCaller, namespace: string | null): string {
  const wanted = namespace === null ? "*" : `${namespace}/*`;
  if (caller.kind === "member" || allows(caller.grant.scopes, "secrets", "read", wanted)) return wanted;
  const begin = wanted.slice(0, -1);
  const reaches = (pattern: string): boolean => {
    const [literal = "", ...rest] = pattern.split("*");
    return literal.startsWith(begin) || (rest.length > 0 && begin.startsWith(literal));
  };
  return (patternsIn(caller) ?? []).find(reaches) ?? wanted;
}
