import type { Api } from "../api/context.ts";
import { declareFor, JSON_MEDIA } from "../base/endpoint.ts";
import { Problem } from "../base/problem.ts";
import { check } from "../base/request.ts";
import { respondChange } from "../base/respond-change.ts";
import { secretPathSchema } from "../base/secret-path.ts";
import { type DotenvEntry, parseDotenv } from "./dotenv.ts";
import { importedSchema, importPreviewSchema } from "./responses.ts";
import { importSchema } from "./schemas.ts";

const endpoint = declareFor<Api>();
const MAX_IMPORTED = 200;

export const importEndpoint = endpoint({
  method: "POST",
  path: "/v1/secrets/import",
  operationId: "importSecrets",
  tag: "Secrets",
  summary: "Store the text of a .env file, all or nothing",
  description:
    "With `dry_run` nothing is changed, and the answer tells what would be; it is refused for what an import would be refused for.",
  access: { roles: ["admin", "editor"], token: { resource: "secrets", action: "write" } },
  body: importSchema,
  target: ({ body }) => `${body.namespace}/*`,
  responses: { 200: { media: { [JSON_MEDIA]: importPreviewSchema } }, 201: importedSchema },
  errors: ["CONFLICT", "APPROVAL_REQUIRED"],
  change: true,
  handler: async ({ caller, body: input, c }) => {
    const { namespace } = input;
    const entries = readEntries(namespace, input.content);
    const { vault } = c.get("services");
    const write = {
      secretType: input.secret_type,
      accessTier: input.access_tier,
      metadata: input.metadata,
      tags: input.tags,
    };
    const keys = entries.map(({ key }) => key);
    if (input.dry_run) {
      const preview = await vault.changes.previewImport(caller, namespace, entries, write);
      return c.json({
        namespace,
        dry_run: true,
        created: keys.filter((_, index) => preview[index]?.created === true),
        updated: keys.filter((_, index) => preview[index]?.created === false),
        ...unsendable(keys.filter((_, index) => preview[index]?.redactable === false)),
      });
    }
    const { stored, ...change } = await vault.changes.import(caller, namespace, entries, write);
    const body = {
      namespace,
      imported: keys,
      imported_count: keys.length,
      ...unsendable(keys.filter((_, index) => stored[index]?.redactable === false)),
    };
    return respondChange(c, body, change, 201);
  },
});

function unsendable(keys: readonly string[]) {
  return keys.length > 0 ? { not_for_connections: keys } : {};
}

function readEntries(namespace: string, content: string): readonly DotenvEntry[] {
  const entries = parseDotenv(content);
  if (entries.length === 0 || entries.length > MAX_IMPORTED) {
    throw new Problem("VALIDATION_ERROR", `\`content\`: must hold 1 to ${MAX_IMPORTED} keys.`);
  }
  for (const { key } of entries) check(secretPathSchema, `${namespace}/${key}`);
  return entries;
}
