import { Hono } from "hono";
import type { ApiEnv } from "./context.ts";

/** What a deployment says of itself. */
export interface Deployment {
  readonly version: string;
  /** What an operator should mend, as sentences; shown to anyone. */
  readonly warnings: readonly string[];
}

/** `GET /v1/health`, for anyone. */
export function healthRoutes(): Hono<ApiEnv> {
  return new Hono<ApiEnv>().get("/", (c) => {
    const { version, warnings } = c.get("services").deployment;
    return c.json({ status: "ok", version, ...(warnings.length > 0 ? { warnings } : {}) });
  });
}
