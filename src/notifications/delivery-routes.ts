import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { idSchema } from "../base/ids.ts";
import type { Delivery } from "./deliveries.ts";
import { deliveryListSchema, deliverySchema } from "./responses.ts";
import { deliveryQuerySchema } from "./schemas.ts";

const endpoint = declareFor<Api>();
const tag = "Webhooks";
const access = { roles: ["admin", "editor"] } as const;
const params = z.strictObject({ id: idSchema("webhook") });

/** `/v1/webhooks/{id}/deliveries`: what became of what a receiver was to be told. */
export const deliveryEndpoints = [
  endpoint({
    method: "GET",
    path: "/v1/webhooks/{id}/deliveries",
    operationId: "listDeliveries",
    tag,
    summary: "What it was told, and what still waits, newest first",
    access,
    params,
    query: deliveryQuerySchema,
    responses: { 200: deliveryListSchema },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params: { id }, query, c }) => {
      const { webhooks } = c.get("services");
      const { deliveries, nextCursor } = await webhooks.deliveries(caller.tenantId, id, query);
      return c.json({ deliveries: deliveries.map(render), next_cursor: nextCursor });
    },
  }),

  endpoint({
    method: "POST",
    path: "/v1/webhooks/{id}/deliveries/{delivery_id}/replay",
    operationId: "replayDelivery",
    tag,
    summary: "Send a delivery again, from the first try on",
    description: "With the same `webhook-id`: a receiver that has had it knows it by that.",
    access,
    params: params.extend({ delivery_id: idSchema("delivery") }),
    responses: { 202: deliverySchema },
    errors: ["NOT_FOUND", "CONFLICT"],
    handler: async ({ caller, params: { id, delivery_id }, c }) =>
      c.json(render(await c.get("services").webhooks.replay(caller, id, delivery_id)), 202),
  }),

  endpoint({
    method: "POST",
    path: "/v1/webhooks/{id}/test",
    operationId: "testWebhook",
    tag,
    summary: "Send it a `webhook.test`",
    description: "What became of it stands in its deliveries.",
    access,
    params,
    responses: { 202: deliverySchema },
    errors: ["NOT_FOUND", "CONFLICT"],
    handler: async ({ caller, params: { id }, c }) =>
      c.json(render(await c.get("services").webhooks.test(caller.tenantId, id)), 202),
  }),
];

function render(delivery: Delivery) {
  const time = (at: number | null) => (at === null ? null : new Date(at).toISOString());
  return {
    id: delivery.id,
    event_id: delivery.noticeId,
    type: delivery.type,
    status: delivery.status,
    attempts: delivery.attempts,
    next_attempt_at: time(delivery.nextAt),
    last_status: delivery.lastStatus,
    last_error: delivery.lastError,
    created_at: new Date(delivery.createdAt).toISOString(),
    ended_at: time(delivery.endedAt),
  };
}
