import { z } from "zod";
import type { ProblemCode } from "./problem.ts";

/** What a scoped token must be allowed to do; the pattern its scope must cover comes from the input (`target`). */
export interface TokenScope {
  readonly resource: "secrets" | "namespaces";
  readonly action: "read" | "write" | "delete";
}

/**
 * Who may call. `public`: anyone, without a credential. `bootstrap`, `operator`: the deployment's own
 * credentials, for its first admin and for further tenants. `any`: whoever
 * has a live credential of any kind. Else each member of the object lets some in, nobody else comes through:
 *
 *     roles    members of one of them; with `person`, none of the credentials that are made for scripts
 *     agent    agent keys: the handler keeps an agent to what is its own
 *     token    scoped tokens whose scopes cover the use, charged one use for it; `true`: any live one, uncharged
 */
export type Access<R extends string = string> =
  | "public"
  | "bootstrap"
  | "operator"
  | "any"
  | {
      readonly roles?: readonly R[];
      readonly person?: true;
      readonly agent?: true;
      readonly token?: true | TokenScope;
    };

/** How the ledger names a token's use. */
export type UseEvent = "secret.read" | "token.used";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** A JSON body, nothing (204, redirects), or bodies by media type, null for one that has no schema (a stream, a page). */
export type Answer = z.ZodType | null | { readonly media: Readonly<Record<string, z.ZodType | null>> };

export const JSON_MEDIA = "application/json";
export const FORM_MEDIA = "application/x-www-form-urlencoded";

/** The types that floors above give to callers and contexts. */
export interface EndpointTypes {
  readonly context: unknown;
  readonly role: string;
  readonly member: unknown;
  readonly agent: unknown;
  readonly token: unknown;
}

/** What is known of a request before a token is charged: checked, typed by the declaration's schemas. */
export interface Input<P = unknown, Q = unknown, B = unknown> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
}

/** What a handler is given. */
export interface Given<Caller, Charged, Context, P, Q, B> extends Input<P, Q, B> {
  readonly caller: Caller;
  /**
   * For an endpoint that has a token's scope and no `target`, since what a call is depends on what is there: lets
   * members pass and charges a token. Without it no answer of the handler's goes out to a token.
   */
  readonly charge: (target: string, event?: UseEvent) => Promise<Charged>;
  readonly c: Context;
}

/** The part of a declaration that is data: routing, access, validation, the API's description and tests read it. */
export interface EndpointData {
  readonly method: Method;
  /** As in OpenAPI, `/v1/agents/{id}`. `{+path}` takes slashes, given as `/` or `%2F`; one endpoint's path may go on. */
  readonly path: string;
  /** camelCase, unique: what generated clients call it. */
  readonly operationId: string;
  readonly tag: string;
  /** One line. */
  readonly summary: string;
  /** Markdown. */
  readonly description?: string;
  readonly access: Access;
  /** An object whose members are the path's parameters. */
  readonly params?: z.ZodType;
  /** A strict object of strings (coerced); without one the query is ignored. */
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  /** JSON if left out; a form's fields are strings, each given once. */
  readonly bodyMedia?: readonly (typeof JSON_MEDIA | typeof FORM_MEDIA)[];
  /** By status. Objects are strict, so that the description tells every member. Refusals go into `errors`. */
  readonly responses: Readonly<Record<number, Answer>>;
  /** Refusals beyond those that follow from access and input (`errorsOf`). */
  readonly errors?: readonly ProblemCode[];
  /** `oauth`: refusals have the body of RFC 6749 §5.2 (oauth-error.ts) instead of a Problem's. */
  readonly refusals?: "oauth";
  /** A write that answers by `respondChange`: `effective_at`, `Prefer: wait`. The responses' schemas leave it out. */
  readonly change?: true;
  /** Takes `Idempotency-Key`. Left out: every write below /v1 with a caller's credential does (`takesIdempotencyKey`). */
  readonly idempotent?: boolean;
  /** Which of the control plane's quotas a call counts against, where that does not follow from method and access. */
  readonly quota?: "reads" | "tokens" | "public";
  /** A person must have shown a second factor just before. */
  readonly stepUp?: true;
  /** Not for a person whom a credential for scripts let in within the last day: it would approve by them. */
  readonly vetted?: true;
  /** Tells of the trail: not to people while they may read plaintext. */
  readonly trail?: true;
}

/** A declaration with its types forgotten: what the table of all endpoints holds. */
export interface Endpoint extends EndpointData {
  target?(input: Input): string;
  handler(given: Given<unknown, unknown, unknown, unknown, unknown, unknown>): Response | Promise<Response>;
}

type CallerOf<T extends EndpointTypes, A> = A extends "public" | "bootstrap" | "operator"
  ? null
  : A extends "any"
    ? T["member"] | T["agent"] | T["token"]
    :
        | (A extends { readonly roles: unknown } ? T["member"] : never)
        | (A extends { readonly agent: true } ? T["agent"] : never)
        | (A extends { readonly token: unknown } ? T["token"] : never);

type Declaration<
  T extends EndpointTypes,
  A,
  P extends z.ZodType,
  Q extends z.ZodType,
  B extends z.ZodType,
> = Omit<EndpointData, "access" | "params" | "query" | "body"> & {
  readonly access: A;
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  /** The path or namespace that a token's scope must cover, where `access` has a token's scope. */
  readonly target?: (input: Input<z.output<P>, z.output<Q>, z.output<B>>) => string;
  readonly handler: (
    given: Given<
      CallerOf<T, A>,
      T["member"] | T["token"],
      T["context"],
      z.output<P>,
      z.output<Q>,
      z.output<B>
    >,
  ) => Response | Promise<Response>;
};

/**
 * How a room declares its endpoints, once per `routes.ts`, with the API's types (floors do not let this file see them):
 *
 *     const endpoint = declareFor<Api>();          // import type { Api } from "../api/context.ts"
 *
 *     export const widgetEndpoints = [
 *       endpoint({
 *         method: "PATCH", path: "/v1/widgets/{id}", operationId: "updateWidget", tag: "Widgets",
 *         summary: "Change a widget",
 *         access: { roles: ["admin"] },
 *         params: z.strictObject({ id: idSchema("widget") }),
 *         body: widgetPatchSchema,
 *         responses: { 200: widgetSchema },
 *         errors: ["NOT_FOUND"],
 *         change: true,
 *         handler: async ({ caller, params, body, c }) => …a Response,
 *       }),
 *     ];
 *
 * and adds them to `src/api/endpoints.ts`. In this order, before the handler runs: the caller is identified and its
 * role held against `access`; params, query and body are checked; a token's scope is held against `target` and the
 * token is charged. The handler never has to ask who calls.
 */
export function declareFor<T extends EndpointTypes>() {
  return <
    const A extends Access<T["role"]>,
    P extends z.ZodType = z.ZodUndefined,
    Q extends z.ZodType = z.ZodUndefined,
    B extends z.ZodType = z.ZodUndefined,
  >(
    declaration: Declaration<T, A, P, Q, B>,
  ): Endpoint => declaration;
}

/** The scope that a token must have, null where tokens are not let in or not charged. */
export function scopeOf({ access }: EndpointData): TokenScope | null {
  if (typeof access === "string" || access.token === undefined || access.token === true) return null;
  return access.token;
}

/** Whether a repeat of a request with the same `Idempotency-Key` gets the first one's answer. */
export function takesIdempotencyKey({ access, idempotent, method, path, responses }: EndpointData): boolean {
  if (idempotent !== undefined) return idempotent;
  if (method === "GET" || !path.startsWith("/v1/")) return false;
  if (access === "public" || access === "bootstrap" || access === "operator") return false;
  return Object.values(responses).every(
    (answer) =>
      answer === null ||
      answer instanceof z.ZodType ||
      Object.keys(answer.media).every((media) => media === JSON_MEDIA),
  );
}

/** When a change holds everywhere (respond-change.ts). */
const effectiveAtSchema = z.iso
  .datetime()
  .describe("From when on no call anywhere is decided without this change.");

/** The bodies of a response by media type, `effective_at` of changes included; empty where there is no body. */
export function mediaOf(
  endpoint: Pick<EndpointData, "change" | "responses">,
  status: number,
): Readonly<Record<string, z.ZodType | null>> {
  const answer = endpoint.responses[status];
  if (answer === undefined || answer === null) return {};
  if (!(answer instanceof z.ZodType)) return answer.media;
  if (!endpoint.change) return { [JSON_MEDIA]: answer };
  if (!(answer instanceof z.ZodObject)) throw new Error("a change answers with an object");
  return { [JSON_MEDIA]: answer.extend({ effective_at: effectiveAtSchema }) };
}
