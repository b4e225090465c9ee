import { runInDurableObject } from "cloudflare:test";
import { vi } from "vitest";
import { newId, type TenantId } from "../../../src/base/ids.ts";
import type { Notice } from "../../../src/notifications/notice.ts";
import { bindings, send } from "../api/door.ts";

/** A tenant's queue, the real object. */
export function queueOf(tenantId: TenantId) {
  return bindings.NOTIFICATION_QUEUE.get(bindings.NOTIFICATION_QUEUE.idFromName(tenantId));
}

export function notice(tenantId: TenantId, over: Partial<Notice> = {}): Notice {
  const data = { approval_id: "apr_00112233445566778899aabb", summary: "Refund 100" };
  return { id: newId("event"), tenantId, type: "approval.requested", at: 1_700_000_000_000, data, ...over };
}

export interface Shown {
  id: string;
  event_id: string;
  status: string;
  attempts: number;
  next_attempt_at: string | null;
  last_status: number | null;
  last_error: string | null;
}

/** A receiver's deliveries, newest first, as the API tells. */
export async function deliveriesOf(credential: string, webhookId: string, query = ""): Promise<Shown[]> {
  const answer = await send("GET", `/v1/webhooks/${webhookId}/deliveries${query}`, { credential });
  if (answer.status !== 200) throw new Error(answer.text);
  return answer.body.deliveries;
}

/** Its deliveries, once there are so many and all of them hold. */
export function deliveriesOnce(
  credential: string,
  webhookId: string,
  many: number,
  holds: (delivery: Shown) => boolean,
): Promise<Shown[]> {
  return vi.waitUntil(
    async () => {
      const all = await deliveriesOf(credential, webhookId);
      return all.length === many && all.every(holds) && all;
    },
    { timeout: 10_000 },
  ) as Promise<Shown[]>;
}

/** Runs SQL in the queue's own database. */
export function inQueue(
  tenantId: TenantId,
  query: string,
  ...values: unknown[]
): Promise<Record<string, unknown>[]> {
  return runInDurableObject(queueOf(tenantId), (_queue, { storage }) => [
    ...storage.sql.exec(query, ...values),
  ]);
}
