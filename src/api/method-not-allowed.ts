import type { Hono } from "hono";
import { Problem } from "../base/problem.ts";
import type { ApiEnv } from "./context.ts";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;

/** What to answer where no route took a request: 405 with `Allow` where the path exists, else 404. */
export function noRoute(app: Hono<ApiEnv>, path: string): Problem {
  const allowed = METHODS.filter((method) => hasRoute(app, method, path));
  if (allowed.length === 0) return new Problem("NOT_FOUND", "There is nothing at this path.");
  const allow = allowed.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])).join(", ");
  return new Problem("METHOD_NOT_ALLOWED", `This path takes ${allow}.`, { headers: { allow } });
}

/** Middleware matches every path under the method ALL; a route names its own. */
function hasRoute(app: Hono<ApiEnv>, method: string, path: string): boolean {
  return app.router.match(method, path)[0].some(([[, route]]) => route.method === method);
}
