import type { DeliveryId, TenantId, WebhookId } from "../base/ids.ts";
import type { NoticeQueue } from "./notice.ts";
import type { DeliveryStatus } from "./schemas.ts";

/** One notice on its way to one receiver. Times are milliseconds since 1970. */
export interface Delivery {
  readonly id: DeliveryId;
  readonly webhookId: WebhookId;
  /** The notice's id: `webhook-id` is made of it. */
  readonly noticeId: string;
  readonly type: string;
  readonly status: DeliveryStatus;
  readonly attempts: number;
  /** When it is tried next; null where it is not. */
  readonly nextAt: number | null;
  /** What the receiver last answered with; null where it answered nothing. */
  readonly lastStatus: number | null;
  /** Why the last try failed, in a word of ours. */
  readonly lastError: string | null;
  readonly createdAt: number;
  readonly endedAt: number | null;
}

export interface DeliveryPage {
  readonly deliveries: readonly Delivery[];
  /** What to give as `before` for the next page; null on the last one. */
  readonly next: number | null;
}

/** A tenant's queue (durable-objects/notification-queue.ts), as the control plane asks it. */
export interface DeliveryQueue extends NoticeQueue {
  /** A receiver's, newest first. */
  deliveries(query: {
    readonly webhookId: WebhookId;
    readonly status: DeliveryStatus | null;
    readonly before: number | null;
    readonly limit: number;
  }): Promise<DeliveryPage>;
  /** Tries it again from the start, whatever became of it; null where there is none. */
  replay(webhookId: WebhookId, deliveryId: DeliveryId): Promise<Delivery | null>;
  /** A notice of the type `webhook.test` to one receiver. */
  sendTest(tenantId: TenantId, webhookId: WebhookId): Promise<Delivery>;
  /** Forgets all of a receiver's deliveries. */
  forget(webhookId: WebhookId): Promise<void>;
}
