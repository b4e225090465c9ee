import type { z } from "zod";
import { type Endpoint, JSON_MEDIA, mediaOf, takesIdempotencyKey } from "../base/endpoint.ts";
import { SECURITY_SCHEMES, securityOf, whoMay } from "./openapi-access.ts";
import { HEADERS, headersOf } from "./openapi-headers.ts";
import { Refusals } from "./openapi-refusals.ts";
import { type Json, Schemas } from "./openapi-schemas.ts";

const DESCRIPTION = `The control plane of a gateway that holds a team's real credentials and lends agents scoped tokens.

Calls to providers do not stand here: \`/proxy/{connection}/…\` is the provider's own API. Every refusal has the body
\`Problem\`; branch on \`error.code\`. This description as a file: [openapi.json](/v1/openapi.json).`;

/** The OpenAPI 3.1 description of every endpoint of the table: the schemas that check are the ones that are shown. */
export function describeApi(endpoints: readonly Endpoint[], version: string): Json {
  const schemas = new Schemas();
  const refusals = new Refusals(schemas);
  const paths: Record<string, Record<string, Json>> = {};
  for (const endpoint of endpoints) {
    const path = endpoint.path.replace("{+", "{");
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: describe(endpoint, schemas, refusals) };
  }
  return {
    openapi: "3.1.1",
    info: {
      title: "Valetkey",
      version,
      description: DESCRIPTION,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    tags: [...new Set(endpoints.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      schemas: schemas.named,
      responses: refusals.named,
      securitySchemes: SECURITY_SCHEMES,
      headers: HEADERS,
    },
  };
}

function describe(endpoint: Endpoint, schemas: Schemas, refusals: Refusals): Json {
  const { operationId, tag, summary, description, access, body } = endpoint;
  const parameters = [
    ...parametersOf("path", endpoint, schemas),
    ...parametersOf("query", endpoint, schemas),
    ...(endpoint.change ? [PREFER] : []),
    ...(takesIdempotencyKey(endpoint) ? [IDEMPOTENCY_KEY] : []),
  ];
  return {
    operationId,
    tags: [tag],
    summary,
    description: [description, whoMay(access)].filter((part) => part !== undefined).join("\n\n"),
    security: securityOf(access),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: !body.safeParse({}).success,
            content: contentOf(
              Object.fromEntries((endpoint.bodyMedia ?? [JSON_MEDIA]).map((media) => [media, body])),
              schemas,
            ),
          },
        }),
    responses: { ...answersOf(endpoint, schemas), ...refusals.of(endpoint) },
  };
}

const PREFER = {
  name: "Prefer",
  in: "header",
  schema: { type: "string", examples: ["wait", "wait=2"] },
  description: "`wait`: answer once the change holds everywhere, after at most 6 s (RFC 7240).",
};

const IDEMPOTENCY_KEY = {
  name: "Idempotency-Key",
  in: "header",
  schema: { type: "string", pattern: "^[\\x21-\\x7e]{1,255}$" },
  description:
    "Drawn at random for one request. A repeat with the same key, path and body within 24 hours gets the first answer, and nothing is done again.",
};

function parametersOf(where: "path" | "query", endpoint: Endpoint, schemas: Schemas): Json[] {
  const schema = where === "path" ? endpoint.params : endpoint.query;
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = schemas.of(schema) as {
    readonly properties?: Record<string, Json>;
    readonly required?: readonly string[];
  };
  return Object.entries(properties).map(([name, { description, ...of }]) => {
    // OpenAPI has no path parameters with slashes: clients that encode them are right, too.
    const spans = where === "path" && endpoint.path.includes(`{+${name}}`);
    const words = [description, spans ? "Slashes stand as they are, or as `%2F`." : undefined];
    const described = words.filter((part) => part !== undefined).join(" ");
    return {
      name,
      in: where,
      ...(where === "path" || required.includes(name) ? { required: true } : {}),
      ...(described === "" ? {} : { description: described }),
      ...(spans ? { "x-slashes": true } : {}),
      schema: of,
    };
  });
}

function answersOf(endpoint: Endpoint, schemas: Schemas): Json {
  return Object.fromEntries(
    Object.keys(endpoint.responses).map((status) => {
      const media = mediaOf(endpoint, Number(status));
      const content = Object.keys(media).length > 0 ? { content: contentOf(media, schemas) } : {};
      return [
        status,
        {
          description: MEANINGS[status] ?? "Done",
          headers: headersOf(endpoint, Number(status)),
          ...content,
        },
      ];
    }),
  );
}

const MEANINGS: Readonly<Record<string, string>> = {
  200: "What was asked for",
  201: "Made",
  202: "Waits for a person",
  204: "Done",
  302: "Elsewhere",
  303: "Elsewhere",
};

function contentOf(media: Readonly<Record<string, z.ZodType | null>>, schemas: Schemas): Json {
  return Object.fromEntries(
    Object.entries(media).map(([type, schema]) => [
      type,
      schema === null ? {} : { schema: schemas.of(schema) },
    ]),
  );
}
