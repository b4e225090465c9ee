import { Hono, type Context } from "hono";
import { healthRoutes } from "./api/health.ts";
import type { ApiEnv } from "./api/context.ts";
import { answerFailure, markAnswers, openServices } from "./api/door.ts";
import { meRoutes } from "./api/me.ts";
import { noRoute } from "./api/method-not-allowed.ts";
import { auditRoutes } from "./audit/routes.ts";
import { connectionRoutes, providerRoutes } from "./connections/routes.ts";
import { agentRoutes } from "./identity/agent-routes.ts";
import { bootstrapRoutes, freezeRoutes, tenantRoutes } from "./identity/routes.ts";
import type { Services } from "./services.ts";
import { introspectionRoutes, tokenRoutes } from "./tokens/routes.ts";
import { namespaceRoutes, secretRoutes } from "./vault/routes.ts";

/**
 * The control plane. `makeServices` is called once per request; it may throw a Problem (MISCONFIGURED), which is
 * answered like any other.
 */
export function createApp(makeServices: (c: Context<ApiEnv>) => Services): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  app.onError(answerFailure);
  app.notFound((c) => answerFailure(noRoute(app, c.req.path), c));
  app.use(markAnswers, openServices(makeServices));

  app.route("/v1/health", healthRoutes());
  app.route("/v1/me", meRoutes());
  app.route("/v1/bootstrap", bootstrapRoutes());
  app.route("/v1/tenant", tenantRoutes());
  app.route("/v1/freeze", freezeRoutes());
  app.route("/v1/agents", agentRoutes());
  app.route("/v1/tokens", tokenRoutes());
  app.route("/oauth/introspect", introspectionRoutes());
  app.route("/v1/secrets", secretRoutes());
  app.route("/v1/namespaces", namespaceRoutes());
  app.route("/v1/connections", connectionRoutes());
  app.route("/v1/providers", providerRoutes());
  app.route("/v1/audit", auditRoutes());
  return app;
}
