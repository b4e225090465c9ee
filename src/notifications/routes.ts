import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { idSchema } from "../base/ids.ts";
import type { Receiver } from "./receivers.ts";
import { webhookListSchema, webhookSchema, webhookWithSecretSchema } from "./responses.ts";
import { rotateSecretSchema, webhookCreateSchema, webhookPatchSchema } from "./schemas.ts";

const endpoint = declareFor<Api>();
const tag = "Webhooks";
const access = { roles: ["admin", "editor"] } as const;
const params = z.strictObject({ id: idSchema("webhook") });

/** `/v1/webhooks`: who is told of what happens. */
export const webhookEndpoints = [
  endpoint({
    method: "POST",
    path: "/v1/webhooks",
    operationId: "createWebhook",
    tag,
    summary: "Tell somebody: a URL, a Slack channel, a Telegram chat or mail addresses",
    description:
      "Deliveries to a URL are signed by the Standard Webhooks specification with `secret`, which is shown this once.",
    access,
    stepUp: true,
    body: webhookCreateSchema,
    responses: { 201: webhookWithSecretSchema },
    errors: ["CONFLICT", "DESTINATION_DENIED"],
    handler: async ({ caller, body, c }) => {
      const { receiver, secret } = await c.get("services").webhooks.create(caller, body);
      return c.json({ ...render(receiver), secret: secret?.reveal() ?? null }, 201);
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/webhooks",
    operationId: "listWebhooks",
    tag,
    summary: "Who is told of what",
    access,
    responses: { 200: webhookListSchema },
    handler: async ({ caller, c }) =>
      c.json({ webhooks: (await c.get("services").webhooks.list(caller.tenantId)).map(render) }),
  }),

  endpoint({
    method: "GET",
    path: "/v1/webhooks/{id}",
    operationId: "getWebhook",
    tag,
    summary: "One webhook",
    access,
    params,
    responses: { 200: webhookSchema },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params: { id }, c }) =>
      c.json(render(await c.get("services").webhooks.get(caller.tenantId, id))),
  }),

  endpoint({
    method: "PATCH",
    path: "/v1/webhooks/{id}",
    operationId: "updateWebhook",
    tag,
    summary: "Change where it goes, what it is told of, or switch it on and off",
    access,
    stepUp: true,
    params,
    body: webhookPatchSchema,
    responses: { 200: webhookSchema },
    errors: ["NOT_FOUND", "DESTINATION_DENIED"],
    handler: async ({ caller, params: { id }, body, c }) =>
      c.json(render(await c.get("services").webhooks.update(caller, id, body))),
  }),

  endpoint({
    method: "DELETE",
    path: "/v1/webhooks/{id}",
    operationId: "deleteWebhook",
    tag,
    summary: "Tell it nothing more, and forget its deliveries",
    access,
    params,
    responses: { 204: null },
    errors: ["NOT_FOUND"],
    handler: async ({ caller, params: { id }, c }) => {
      await c.get("services").webhooks.remove(caller, id);
      return c.body(null, 204);
    },
  }),

  endpoint({
    method: "POST",
    path: "/v1/webhooks/{id}/rotate-secret",
    operationId: "rotateWebhookSecret",
    tag,
    summary: "A new secret; deliveries are signed with both for a while",
    access,
    stepUp: true,
    params,
    body: rotateSecretSchema,
    responses: { 200: webhookWithSecretSchema },
    errors: ["NOT_FOUND", "CONFLICT"],
    handler: async ({ caller, params: { id }, body, c }) => {
      const { receiver, secret } = await c.get("services").webhooks.rotateSecret(caller, id, body.overlap);
      return c.json({ ...render(receiver), secret: secret.reveal() });
    },
  }),
];

function render(receiver: Receiver) {
  const { settings, secrets } = receiver;
  const [newest, former] = secrets;
  const time = (at: number | null | undefined) =>
    at === null || at === undefined ? null : new Date(at).toISOString();
  const of = <K extends string>(key: K): unknown =>
    (settings as Readonly<Record<string, unknown>>)[key] ?? null;
  return {
    id: receiver.id,
    kind: settings.kind,
    name: receiver.name,
    url: of("url"),
    connection: of("connection"),
    channel: of("channel"),
    chat_id: of("chat_id"),
    from: of("from"),
    to: of("to"),
    events: receiver.events,
    agent_id: receiver.agentId,
    enabled: receiver.enabled,
    disabled_reason: receiver.disabledReason,
    link_origin: receiver.origin,
    secret_rotated_at: time(newest?.createdAt),
    old_secret_until: time(former?.expiresAt),
    created_at: new Date(receiver.createdAt).toISOString(),
    updated_at: new Date(receiver.updatedAt).toISOString(),
  };
}
