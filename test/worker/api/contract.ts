import { ENDPOINTS } from "../../../src/api/endpoints.ts";
import { type Endpoint, mediaOf } from "../../../src/base/endpoint.ts";
import { errorsOf } from "../../../src/base/endpoint-errors.ts";
import { oauthErrorSchema, oauthStatusOf } from "../../../src/base/oauth-error.ts";
import { type ProblemCode, statusOf } from "../../../src/base/problem.ts";
import { problemSchema } from "../../../src/base/problem-schema.ts";

/** The endpoint that a request is for; null where there is none, whatever router is asked. */
export function endpointOf(method: string, path: string): Endpoint | null {
  const asked = method === "HEAD" ? "GET" : method;
  const matching = ENDPOINTS.filter((endpoint) => endpoint.method === asked && matches(endpoint.path, path));
  // The one with most text of its own: `/v1/tokens/revoke` before `/v1/tokens/{id}`.
  const ownText = ({ path: own }: Endpoint) => own.replaceAll(/\{.*?\}/g, "").length;
  return matching.toSorted((a, b) => ownText(b) - ownText(a))[0] ?? null;
}

function matches(template: string, path: string): boolean {
  const spans = template.includes("{+");
  const pattern = template
    .replaceAll(/[.]/g, String.raw`\.`)
    .replaceAll(/\{\+[a-z_]+\}/g, "[^]+")
    .replaceAll(/\{[a-z_]+\}/g, "[^/]+");
  let given = path.split("?")[0] ?? "";
  if (spans) {
    try {
      given = decodeURIComponent(given);
    } catch {
      // As it is: no endpoint reads it either.
    }
  }
  return new RegExp(`^${pattern}$`).test(given);
}

/**
 * Throws where an answer of the control plane is not one that its endpoint declares: another status, another media
 * type, a member that is missing, unknown or of another type, a code that is not among its errors.
 */
export function checkContract(
  method: string,
  path: string,
  answer: { readonly status: number; readonly headers: Headers; readonly text: string },
): void {
  if (path.startsWith("/proxy/")) return;
  const endpoint = endpointOf(method, path);
  const fault = faultOf(endpoint, method, answer);
  if (fault === null) return;
  throw new Error(
    `${method} ${path.slice(0, 200)} (${endpoint?.operationId ?? "no endpoint"}) answered ${answer.status}, undocumented: ${fault}`,
  );
}

function faultOf(
  endpoint: Endpoint | null,
  method: string,
  { status, headers, text }: { readonly status: number; readonly headers: Headers; readonly text: string },
): string | null {
  if (method === "HEAD") return text === "" ? null : "a HEAD has no body";
  if (endpoint?.responses[status] === undefined) return refusalFault(endpoint, status, text);
  const media = mediaOf(endpoint, status);
  const type = (headers.get("content-type") ?? "").split(";")[0] ?? "";
  if (Object.keys(media).length === 0) return text === "" ? null : "it has a body";
  const schema = media[type];
  if (schema === undefined) return `the media type "${type}"`;
  const parsed = schema?.safeParse(JSON.parse(text));
  return parsed?.success === false ? JSON.stringify(parsed.error.issues) : null;
}

function refusalFault(endpoint: Endpoint | null, status: number, text: string): string | null {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return "neither an answer of its own nor a refusal";
  }
  if (endpoint?.refusals === "oauth") {
    const oauth = oauthErrorSchema.safeParse(body);
    if (!oauth.success) return JSON.stringify(oauth.error.issues);
    const code = oauth.data.code as ProblemCode;
    if (oauthStatusOf(code) !== status) return `${code} with another status`;
    return errorsOf(endpoint).includes(code) ? null : `the code ${code}`;
  }
  const parsed = problemSchema.safeParse(body);
  if (!parsed.success) return JSON.stringify(parsed.error.issues);
  const code = parsed.data.error.code as ProblemCode;
  if (statusOf(code) !== status || parsed.data.status !== status) return `${code} with another status`;
  if (endpoint !== null && !errorsOf(endpoint).includes(code)) return `the code ${code}`;
  return null;
}
