import { z } from "zod";
import { type Endpoint, JSON_MEDIA, mediaOf, takesIdempotencyKey } from "../base/endpoint.ts";
import { errorsOf, EVERYWHERE } from "../base/endpoint-errors.ts";
import { type ProblemCode, statusOf } from "../base/problem.ts";
import { oauthErrorSchema, oauthStatusOf } from "../base/oauth-error.ts";
import { problemSchema } from "../base/problem-schema.ts";
import { SECURITY_SCHEMES, securityOf, whoMay } from "./openapi-access.ts";
import { HEADERS, headersOf } from "./openapi-headers.ts";

type Json = Readonly<Record<string, unknown>>;

const DESCRIPTION = `The control plane of a gateway that holds a team's real credentials and lends agents scoped tokens.

Calls to providers do not stand here: \`/proxy/{connection}/…\` is the provider's own API. Every refusal has the body
\`Problem\`; branch on \`error.code\`. This description as a file: [openapi.json](/v1/openapi.json).`;

/** The OpenAPI 3.1 description of every endpoint of the table: the schemas that check are the ones that are shown. */
export function describeApi(endpoints: readonly Endpoint[], version: string): Json {
  const schemas = new Schemas();
  const paths: Record<string, Record<string, Json>> = {};
  for (const endpoint of endpoints) {
    const path = endpoint.path.replace("{+", "{");
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: describe(endpoint, schemas) };
  }
  const responses = commonRefusals(schemas);
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
    components: { schemas: schemas.named, responses, securitySchemes: SECURITY_SCHEMES, headers: HEADERS },
  };
}

function describe(endpoint: Endpoint, schemas: Schemas): Json {
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
    responses: { ...answersOf(endpoint, schemas), ...refusalsOf(endpoint, schemas) },
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

/** One response a status, with the codes that can stand in it; where every endpoint has the same it is a component. */
function refusalsOf(endpoint: Endpoint, schemas: Schemas): Json {
  if (endpoint.refusals === "oauth") return oauthRefusalsOf(endpoint, schemas);
  const byStatus = Map.groupBy(errorsOf(endpoint), statusOf);
  return Object.fromEntries(
    [...byStatus].flatMap(([status, codes]) => {
      if (endpoint.responses[status] !== undefined) return [];
      const isCommon = codes.every((code) => EVERYWHERE.includes(code));
      const refusal = isCommon
        ? { $ref: `#/components/responses/${commonName(status)}` }
        : refusalOf(codes, status, schemas);
      return [[status, refusal]];
    }),
  );
}

function refusalOf(codes: readonly ProblemCode[], status: number, schemas: Schemas): Json {
  const schema = { allOf: [schemas.of(problemSchema), withCode(codes)] };
  return {
    description: codes.map((code) => `\`${code}\``).join(", "),
    headers: headersOf(null, status),
    content: { [JSON_MEDIA]: { schema }, "application/problem+json": { schema } },
  };
}

/** As OAuth has them; what is refused before the endpoint is found is a Problem here, too. */
function oauthRefusalsOf(endpoint: Endpoint, schemas: Schemas): Json {
  const byStatus = Map.groupBy(errorsOf(endpoint), oauthStatusOf);
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => {
      const oauth = {
        allOf: [schemas.of(oauthErrorSchema), { properties: { code: { enum: codes } } }],
      };
      const problem = { allOf: [schemas.of(problemSchema), withCode(codes)] };
      const refusal = {
        description: codes.map((code) => `\`${code}\``).join(", "),
        headers: headersOf(null, status),
        content: {
          [JSON_MEDIA]: { schema: { anyOf: [oauth, problem] } },
          "application/problem+json": { schema: problem },
        },
      };
      return [status, refusal];
    }),
  );
}

function commonRefusals(schemas: Schemas): Json {
  return Object.fromEntries(
    [...Map.groupBy(EVERYWHERE, statusOf)].map(([status, codes]) => [
      commonName(status),
      refusalOf(codes, status, schemas),
    ]),
  );
}

const commonName = (status: number): string => `Refused${status}`;

function withCode(codes: readonly ProblemCode[]): Json {
  return { properties: { error: { properties: { code: { enum: codes } } } } };
}

function contentOf(media: Readonly<Record<string, z.ZodType | null>>, schemas: Schemas): Json {
  return Object.fromEntries(
    Object.entries(media).map(([type, schema]) => [
      type,
      schema === null ? {} : { schema: schemas.of(schema) },
    ]),
  );
}

/** JSON Schemas of zod schemas; those with an `id` in their metadata stand once, under `components`. */
class Schemas {
  readonly named: Record<string, unknown> = {};

  /** What goes over the wire: a schema's input. */
  of(schema: z.ZodType): Json {
    const { $schema: _, $defs = {}, ...own } = z.toJSONSchema(schema, { io: "input", override: tidy });
    for (const [name, definition] of Object.entries($defs)) this.named[name] ??= pointed(definition);
    const { id } = z.globalRegistry.get(schema) ?? {};
    if (id === undefined) return pointed(own) as Json;
    this.named[id] ??= pointed(own);
    return { $ref: `#/components/schemas/${id}` };
  }
}

/** The same with references to where components stand, and without the `id` that zod leaves in definitions. */
function pointed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(pointed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [
      key,
      key === "$ref" && typeof part === "string"
        ? part.replace("#/$defs/", "#/components/schemas/")
        : pointed(part),
    ]),
  );
}

/** Leaves out what only repeats the format or the limits of JavaScript's numbers. */
function tidy({ jsonSchema }: { readonly jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  if (jsonSchema.format === "date-time") delete jsonSchema.pattern;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (
    jsonSchema.propertyNames?.constructor === Object &&
    Object.keys(jsonSchema.propertyNames).join() === "type"
  )
    delete jsonSchema.propertyNames;
}
