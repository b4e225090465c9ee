import { type Clock, systemClock } from "./base/clock.ts";
import type { TenantId, WebhookId } from "./base/ids.ts";
import { createCallPath, type WaitUntil } from "./call-path.ts";
import { parseCredential } from "./credentials/kinds.ts";
import { checkUse } from "./credentials/obtain.ts";
import { rulesFor } from "./isolate.ts";
import { ConnectionCall } from "./notifications/connection-call.ts";
import { linkOrigin } from "./notifications/link-origin.ts";
import { disableGone, readReceivers, type Receiver } from "./notifications/receivers.ts";
import { Sender } from "./notifications/sender.ts";
import { SealedTexts } from "./vault/sealed-text.ts";

/** What a tenant's notification queue works with (durable-objects/notification-queue.ts). */
export interface Notifier {
  readonly sender: Sender;
  receivers(tenantId: TenantId): Promise<readonly Receiver[]>;
  /** Switches one off that said 410. */
  disableGone(tenantId: TenantId, webhookId: WebhookId): Promise<void>;
}

/** No request is at hand: what may be reached follows from the origin that a receiver was made through. */
export function createNotifier(env: Env, waitUntil: WaitUntil, clock: Clock = systemClock): Notifier {
  const { isolate, changes, vault, connections, gateway } = createCallPath(
    env,
    "localhost",
    waitUntil,
    clock,
  );
  const { audit, db, keys, leases } = isolate;
  const { credentials, fetch } = gateway;
  return {
    sender: new Sender({
      connectionCall: new ConnectionCall({
        ...{ leases, connections, vault, credentials, parseCredential, checkUse },
        ...{ audit, fetch, clock, waitUntil },
      }),
      sealed: new SealedTexts(keys),
      rulesFor: (origin) => rulesFor(env, new URL(origin).host, isolate),
      emailBinding: env.SEND_EMAIL ?? null,
      ...{ fetch, clock },
    }),
    receivers: async (tenantId) =>
      (await readReceivers(db, tenantId)).map((receiver) => ({
        ...receiver,
        origin: linkOrigin(env.GATEWAY_ORIGIN, receiver.origin, env.ENVIRONMENT),
      })),
    async disableGone(tenantId, webhookId) {
      await disableGone(db, tenantId, webhookId, clock());
      await changes.flush(tenantId);
    },
  };
}
