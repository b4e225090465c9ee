import { clientAddress } from "./api/client-address.ts";
import { createApp } from "./app.ts";
import { newId } from "./base/ids.ts";
import { Problem } from "./base/problem.ts";
import { createGateway } from "./call-path.ts";
import { refuseLoop } from "./gateway/headers.ts";
import { checkHeaders, checkUrl } from "./gateway/limits.ts";
import { refuseOldTls } from "./gateway/limits-tls.ts";
import { proxy } from "./gateway/proxy.ts";
import { refusal } from "./gateway/refusal.ts";
import { hostsOf } from "./isolate.ts";
import { createServices } from "./services.ts";
import { sweep } from "./sweep.ts";

export { ApprovalDesk } from "../durable-objects/approval-desk.ts";
export { AuditLedger } from "../durable-objects/audit-ledger.ts";
export { BudgetBook } from "../durable-objects/budget-book.ts";
export { CallerQuotas } from "../durable-objects/caller-quotas.ts";
export { NotificationQueue } from "../durable-objects/notification-queue.ts";
export { ScopedToken } from "../durable-objects/scoped-token.ts";
export { TenantGate } from "../durable-objects/tenant-gate.ts";

const app = createApp((c) =>
  createServices(c.env, new URL(c.req.url).host, (promise) => c.executionCtx.waitUntil(promise)),
);

/** The two doors: a host or path that belongs to a connection goes to the provider, everything else is our own API. */
export default {
  async fetch(request, env, context): Promise<Response> {
    try {
      refuseOldTls(request, env);
      checkUrl(request.url);
      refuseLoop(request.headers);
      const call = await callDoor(request, env, context);
      if (call !== null) return call;
      checkHeaders(request.headers);
      if (!URL.canParse(request.url))
        throw new Problem("VALIDATION_ERROR", "The request target is not a path.");
    } catch (error) {
      return refusal(error, newId("request"), request.headers.get("accept"));
    }
    return app.fetch(request, env, context);
  },

  async scheduled(_event, env, context): Promise<void> {
    await sweep(env, (promise) => context.waitUntil(promise));
  },
} satisfies ExportedHandler<Env>;

/** A call to a provider, or null where the request is for the gateway's own API. */
async function callDoor(request: Request, env: Env, context: ExecutionContext): Promise<Response | null> {
  const read = hostsOf(env).read(request.url);
  if (read === null) return null;
  const { target, addressed } = read;
  const gateway = createGateway(env, target.host, (promise) => context.waitUntil(promise));
  return proxy(request, target, addressed, clientAddress(request, env.CLIENT_ADDRESS), gateway);
}
