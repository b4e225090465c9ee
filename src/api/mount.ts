import type { Context, Hono } from "hono";
import { type Endpoint, FORM_MEDIA, type Input } from "../base/endpoint.ts";
import { readForm } from "../base/form.ts";
import { Problem } from "../base/problem.ts";
import { readQuery } from "../base/query.ts";
import { check, readJson } from "../base/request.ts";
import { charging } from "./admit.ts";
import type { ApiEnv } from "./context.ts";
import { admitCounted } from "./counted.ts";
import { onceOf } from "./once.ts";

/** Puts every endpoint on the router, at its path and behind its access. */
export function mount(app: Hono<ApiEnv>, endpoints: readonly Endpoint[]): void {
  const spans = new Map<string, Endpoint[]>();
  for (const endpoint of endpoints) {
    const span = /^(.*\/)\{\+/.exec(endpoint.path)?.[1];
    if (span === undefined) {
      const route = endpoint.path.replaceAll(/\{([a-z_]+)\}/g, ":$1");
      app.on(endpoint.method, route, (c) => serve(endpoint, c, c.req.param()));
    } else {
      spans.set(span, [...(spans.get(span) ?? []), endpoint]);
    }
  }
  // After all others: what has a path of its own below one that spans slashes goes first.
  for (const [prefix, below] of spans) mountSpan(app, prefix, below);
}

/**
 * Paths whose parameter may hold slashes, written `/` or `%2F`, so that only the decoded value tells the endpoint: the
 * one whose ending it has, else the one without.
 */
function mountSpan(app: Hono<ApiEnv>, prefix: string, endpoints: readonly Endpoint[]): void {
  for (const method of new Set(endpoints.map((endpoint) => endpoint.method))) {
    app.on(method, `${prefix}:span{[^]+}`, async (c) => {
      const given = c.req.param("span") ?? "";
      for (const endpoint of endpoints.filter((one) => one.method === method)) {
        const [name = "", ending = ""] = endpoint.path.slice(prefix.length + "{+".length).split("}");
        if (ending !== "" && given.endsWith(ending)) {
          return serve(endpoint, c, { [name]: given.slice(0, -ending.length) });
        }
      }
      const plain = endpoints.filter((one) => one.path.endsWith("}"));
      const endpoint = plain.find((one) => one.method === method);
      if (endpoint !== undefined) {
        return serve(endpoint, c, { [endpoint.path.slice(prefix.length + 2, -1)]: given });
      }
      await c.get("auth").caller();
      const allow = plain.map((one) => one.method).join(", ");
      throw new Problem("METHOD_NOT_ALLOWED", `This path takes ${allow}.`, { headers: { allow } });
    });
  }
}

async function serve(
  endpoint: Endpoint,
  c: Context<ApiEnv>,
  params: Readonly<Record<string, string>>,
): Promise<Response> {
  if (endpoint.refusals !== undefined) c.set("refusals", endpoint.refusals);
  const admitted = await admitCounted(endpoint, c);
  const once = await onceOf(endpoint, c, admitted);
  const input = await readInput(endpoint, once?.request ?? c.req.raw, params);
  const work = async (): Promise<Response> => {
    const { charge, chargeTarget, settled } = charging(endpoint, c.get("auth"), admitted);
    await chargeTarget(input);
    const response = await endpoint.handler({ ...input, caller: admitted, charge, c });
    settled();
    return response;
  };
  return once === null ? work() : once.run(work);
}

async function readInput(
  { params, query, body, bodyMedia }: Endpoint,
  request: Request,
  given: Readonly<Record<string, string>>,
): Promise<Input> {
  const isForm =
    bodyMedia?.includes(FORM_MEDIA) && request.headers.get("content-type")?.startsWith(FORM_MEDIA);
  return {
    params: params === undefined ? undefined : check(params, given),
    query: query === undefined ? undefined : readQuery(request, query),
    body: body === undefined ? undefined : await (isForm ? readForm : readJson)(request, body),
  };
}
