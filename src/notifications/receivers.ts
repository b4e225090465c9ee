import { and, asc, eq } from "drizzle-orm";
import { fitForOutbox } from "../audit/clean.ts";
import { auditOutbox } from "../audit/tables.ts";
import type { Database } from "../base/database.ts";
import { newId, type TenantId, type WebhookId } from "../base/ids.ts";
import { ACTOR } from "./connection-call.ts";
import { webhooks } from "./tables.ts";

/** Who is told: a row of `webhooks`. */
export type Receiver = typeof webhooks.$inferSelect;

/** All of a tenant's, from the primary: what was switched off is told nothing any more. */
export async function readReceivers(db: Database, tenantId: TenantId): Promise<readonly Receiver[]> {
  return db.of(tenantId).onPrimary().select().from(webhooks).orderBy(asc(webhooks.id));
}

/** Switches a receiver off that said 410, with its line in the outbox. */
export async function disableGone(
  db: Database,
  tenantId: TenantId,
  webhookId: WebhookId,
  now: number,
): Promise<void> {
  const own = db.of(tenantId);
  const event = fitForOutbox({
    id: newId("event"),
    event_type: "webhook.disabled",
    resource_type: "webhook",
    resource: webhookId,
    actor: ACTOR,
    ip_address: null,
    user_agent: null,
    outcome: "success",
    timestamp: new Date(now).toISOString(),
    context: { reason: "gone", status: 410 },
  });
  await own.batch([
    own
      .update(webhooks)
      .set({ enabled: false, disabledReason: "gone", updatedAt: now })
      .where(and(eq(webhooks.id, webhookId), eq(webhooks.enabled, true))),
    own.insert(auditOutbox).values({ event }),
  ]);
}
