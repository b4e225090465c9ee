import { Hono, type Context } from "hono";
import type { ApiEnv } from "./api/context.ts";
import { answerFailure, markAnswers, openServices } from "./api/door.ts";
import { ENDPOINTS } from "./api/endpoints.ts";
import { noRoute } from "./api/method-not-allowed.ts";
import { mount } from "./api/mount.ts";
import type { Services } from "./services.ts";

/**
 * The control plane. `makeServices` is called once per request; it may throw a Problem (MISCONFIGURED), which is
 * answered like any other.
 */
export function createApp(makeServices: (c: Context<ApiEnv>) => Services): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  app.onError(answerFailure);
  app.notFound((c) => answerFailure(noRoute(app, c.req.path), c));
  app.use(markAnswers, openServices(makeServices));
  mount(app, ENDPOINTS);
  return app;
}
