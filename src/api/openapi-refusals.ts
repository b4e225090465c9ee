import { type Endpoint, JSON_MEDIA } from "../base/endpoint.ts";
import { errorsOf } from "../base/endpoint-errors.ts";
import { oauthErrorSchema, oauthStatusOf } from "../base/oauth-error.ts";
import { problemSchema } from "../base/problem-schema.ts";
import { type ProblemCode, statusOf } from "../base/problem.ts";
import { headersOf } from "./openapi-headers.ts";
import type { Json, Schemas } from "./openapi-schemas.ts";

/**
 * One response a status, with the codes that can stand in it. Each stands once, under `components`: written out at every
 * operation they would be half of the document, and most of the time that a reader of it takes.
 */
export class Refusals {
  readonly named: Record<string, Json> = {};
  readonly #names = new Map<string, string>();
  readonly #schemas: Schemas;

  constructor(schemas: Schemas) {
    this.#schemas = schemas;
  }

  /** By status, those of an endpoint that it does not answer itself. */
  of(endpoint: Endpoint): Json {
    const isOauth = endpoint.refusals === "oauth";
    const byStatus = Map.groupBy(errorsOf(endpoint), isOauth ? oauthStatusOf : statusOf);
    return Object.fromEntries(
      [...byStatus]
        .filter(([status]) => endpoint.responses[status] === undefined)
        .map(([status, codes]) => [status, this.#reference(status, codes, isOauth)]),
    );
  }

  #reference(status: number, codes: readonly ProblemCode[], isOauth: boolean): Json {
    const prefix = `${isOauth ? "OAuthRefused" : "Refused"}${status}`;
    const key = [prefix, ...codes].join();
    let name = this.#names.get(key);
    if (name === undefined) {
      name = prefix;
      for (let i = 2; this.named[name] !== undefined; i++) name = `${prefix}_${i}`;
      this.#names.set(key, name);
      this.named[name] = this.#refusal(status, codes, isOauth);
    }
    return { $ref: `#/components/responses/${name}` };
  }

  /** OAuth's are as OAuth has them; what is refused before the endpoint is found is a Problem there, too. */
  #refusal(status: number, codes: readonly ProblemCode[], isOauth: boolean): Json {
    const withCode = { properties: { error: { properties: { code: { enum: codes } } } } };
    const problem = { allOf: [this.#schemas.of(problemSchema), withCode] };
    const oauth = {
      allOf: [this.#schemas.of(oauthErrorSchema), { properties: { code: { enum: codes } } }],
    };
    return {
      description: codes.map((code) => `\`${code}\``).join(", "),
      headers: headersOf(null, status),
      content: {
        [JSON_MEDIA]: { schema: isOauth ? { anyOf: [oauth, problem] } : problem },
        "application/problem+json": { schema: problem },
      },
    };
  }
}
