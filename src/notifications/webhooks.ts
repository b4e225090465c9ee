import { asc, count, eq } from "drizzle-orm";
import { z } from "zod";
import { fitForOutbox } from "../audit/clean.ts";
import type { AuditEvent } from "../audit/event.ts";
import { auditOutbox } from "../audit/tables.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { type AgentId, type DeliveryId, newId, type TenantId, type WebhookId } from "../base/ids.ts";
import { decodeCursor, encodeCursor } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import type { Redacted } from "../base/redacted.ts";
import { check } from "../base/request.ts";
import type { Connection } from "../connections/connection.ts";
import type { DestinationRules } from "../connections/destination.ts";
import type { MemberCaller } from "../identity/caller.ts";
import { eventBy } from "../identity/events.ts";
import type { SealedTexts } from "../vault/sealed-text.ts";
import { channelOf } from "./channels/channels.ts";
import type { Delivery, DeliveryQueue } from "./deliveries.ts";
import type { Receiver } from "./receivers.ts";
import {
  type DeliveryStatus,
  type ReceiverSettings,
  settingsSchemas,
  type WebhookCreate,
  type WebhookPatch,
} from "./schemas.ts";
import { newSigningSecret, sealedName, type StoredSigningSecret } from "./signing.ts";
import { webhooks } from "./tables.ts";
import { checkWebhookUrl } from "./webhook-url.ts";

export interface WebhooksParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly sealed: SealedTexts;
  readonly connections: { get(tenantId: TenantId, slug: string): Promise<Connection> };
  readonly agents: { find(tenantId: TenantId, agentId: AgentId): Promise<unknown> };
  readonly queue: (tenantId: TenantId) => DeliveryQueue;
  readonly rules: DestinationRules;
  /** Where messages lead people: `https://host[:port]`. */
  readonly origin: string;
  readonly hasEmailBinding: boolean;
  /** Called once a tenant's events wait in the outbox: brings them to the ledger in the background. */
  readonly onEvents: (tenantId: TenantId) => void;
}

const MAX_RECEIVERS = 20;
const DEFAULT_OVERLAP_SECONDS = 86_400;

const cursorSchema = z.tuple([z.number().int()]);

/** A tenant's receivers and what became of their deliveries. One of another tenant is one that does not exist. */
export class Webhooks {
  readonly #parts: WebhooksParts;

  constructor(parts: WebhooksParts) {
    this.#parts = parts;
  }

  async list(tenantId: TenantId): Promise<readonly Receiver[]> {
    return this.#parts.db.of(tenantId).select().from(webhooks).orderBy(asc(webhooks.id));
  }

  /** Throws NOT_FOUND. */
  async get(tenantId: TenantId, id: WebhookId): Promise<Receiver> {
    const [row] = await this.#parts.db.of(tenantId).select().from(webhooks).where(eq(webhooks.id, id));
    if (row === undefined) throw new Problem("NOT_FOUND", "There is no such webhook.");
    return row;
  }

  /**
   * The secret is of the kind `webhook` and told once. Throws DESTINATION_DENIED, VALIDATION_ERROR for a connection or
   * agent that is not there or an email binding that the deployment has not, CONFLICT beyond 20.
   */
  async create(
    caller: MemberCaller,
    { name, events, agent_id, enabled, ...settings }: WebhookCreate,
  ): Promise<{ readonly receiver: Receiver; readonly secret: Redacted | null }> {
    const { tenantId } = caller;
    const { clock, db, origin } = this.#parts;
    await this.#checkSettings(tenantId, settings);
    await this.#checkAgent(tenantId, agent_id ?? null);
    const own = db.of(tenantId);
    const [counted] = await own.select({ there: count() }).from(webhooks);
    if ((counted?.there ?? 0) >= MAX_RECEIVERS)
      throw new Problem("CONFLICT", `A tenant has at most ${MAX_RECEIVERS} webhooks. Delete one first.`);
    const now = clock();
    const id = newId("webhook");
    const made = settings.kind === "webhook" ? await this.#newSecret(tenantId, id, now) : null;
    const receiver: Receiver = {
      ...{ id, tenantId, settings, events, enabled, origin },
      name: name ?? null,
      agentId: agent_id ?? null,
      disabledReason: null,
      secrets: made === null ? [] : [made.stored],
      ...{ createdAt: now, createdBy: caller.memberId, updatedAt: now },
    };
    await own.batch([
      own.insert(webhooks).values(receiver),
      this.#event(caller, "webhook.created", id, described(receiver)),
    ]);
    this.#parts.onEvents(tenantId);
    return { receiver, secret: made?.secret ?? null };
  }

  /** Throws NOT_FOUND, and as `create`. What leads people back here is from then on the host this came through. */
  async update(caller: MemberCaller, id: WebhookId, patch: WebhookPatch): Promise<Receiver> {
    const { tenantId } = caller;
    const before = await this.get(tenantId, id);
    const { name, events, agent_id, enabled, ...changed } = patch;
    // Read by its kind's own schema: members of another kind are refused.
    const schema: z.ZodType<ReceiverSettings> = settingsSchemas[before.settings.kind];
    const settings = check(schema, { ...before.settings, ...changed });
    await this.#checkSettings(tenantId, settings);
    if (agent_id !== undefined) await this.#checkAgent(tenantId, agent_id);
    const after = {
      ...{ settings, origin: this.#parts.origin, updatedAt: this.#parts.clock() },
      name: name ?? before.name,
      events: events ?? before.events,
      agentId: agent_id === undefined ? before.agentId : agent_id,
      enabled: enabled ?? before.enabled,
      disabledReason: enabled === undefined ? before.disabledReason : null,
    };
    const own = this.#parts.db.of(tenantId);
    const receiver = { ...before, ...after };
    await own.batch([
      own.update(webhooks).set(after).where(eq(webhooks.id, id)),
      this.#event(caller, "webhook.updated", id, {
        changed: Object.keys(patch),
        before: described(before),
        after: described(receiver),
      }),
    ]);
    this.#parts.onEvents(tenantId);
    return receiver;
  }

  /** Nothing more is sent to it, and its deliveries are forgotten. Throws NOT_FOUND. */
  async remove(caller: MemberCaller, id: WebhookId): Promise<void> {
    const { tenantId } = caller;
    const before = await this.get(tenantId, id);
    const own = this.#parts.db.of(tenantId);
    await own.batch([
      own.delete(webhooks).where(eq(webhooks.id, id)),
      this.#event(caller, "webhook.deleted", id, described(before)),
    ]);
    this.#parts.onEvents(tenantId);
    await this.#parts.queue(tenantId).forget(id);
  }

  /**
   * A new secret, told once. Deliveries are signed with the old one, too, for `overlapSeconds` (a day if left out): the
   * receiver takes the new one meanwhile. Throws NOT_FOUND, CONFLICT for a kind that has none.
   */
  async rotateSecret(
    caller: MemberCaller,
    id: WebhookId,
    overlapSeconds = DEFAULT_OVERLAP_SECONDS,
  ): Promise<{ readonly receiver: Receiver; readonly secret: Redacted }> {
    const { tenantId } = caller;
    const before = await this.get(tenantId, id);
    if (before.settings.kind !== "webhook")
      throw new Problem("CONFLICT", "Only receivers of the kind `webhook` have a secret.");
    const now = this.#parts.clock();
    const { secret, stored } = await this.#newSecret(tenantId, id, now);
    const until = now + overlapSeconds * 1_000;
    // One overlaps: what was replaced before that is not signed with any more.
    const [current] = before.secrets;
    const secrets = current === undefined ? [stored] : [stored, { ...current, expiresAt: until }];
    const own = this.#parts.db.of(tenantId);
    await own.batch([
      own.update(webhooks).set({ secrets, updatedAt: now }).where(eq(webhooks.id, id)),
      this.#event(caller, "webhook.updated", id, {
        changed: ["secret"],
        old_secret_until: new Date(until).toISOString(),
      }),
    ]);
    this.#parts.onEvents(tenantId);
    return { receiver: { ...before, secrets, updatedAt: now }, secret };
  }

  /** Newest first. Throws NOT_FOUND. */
  async deliveries(
    tenantId: TenantId,
    id: WebhookId,
    query: {
      readonly status?: DeliveryStatus | undefined;
      readonly cursor?: string | undefined;
      readonly limit: number;
    },
  ): Promise<{ readonly deliveries: readonly Delivery[]; readonly nextCursor: string | null }> {
    await this.get(tenantId, id);
    const [before] = query.cursor === undefined ? [null] : decodeCursor(query.cursor, cursorSchema);
    const { deliveries, next } = await this.#parts
      .queue(tenantId)
      .deliveries({ webhookId: id, status: query.status ?? null, before, limit: query.limit });
    return { deliveries, nextCursor: next === null ? null : encodeCursor([next]) };
  }

  /** Tries a delivery again from the start. Throws NOT_FOUND, CONFLICT where the receiver is off. */
  async replay(caller: MemberCaller, id: WebhookId, deliveryId: DeliveryId): Promise<Delivery> {
    const { tenantId } = caller;
    await this.#mustBeOn(tenantId, id);
    const own = this.#parts.db.of(tenantId);
    const delivery = await this.#parts.queue(tenantId).replay(id, deliveryId);
    if (delivery === null) throw new Problem("NOT_FOUND", "There is no such delivery of this webhook.");
    await own.batch([this.#event(caller, "webhook.replayed", id, { delivery_id: deliveryId })]);
    this.#parts.onEvents(tenantId);
    return delivery;
  }

  /** Sends it a `webhook.test`. Throws NOT_FOUND, CONFLICT where the receiver is off. */
  async test(tenantId: TenantId, id: WebhookId): Promise<Delivery> {
    await this.#mustBeOn(tenantId, id);
    return this.#parts.queue(tenantId).sendTest(tenantId, id);
  }

  async #mustBeOn(tenantId: TenantId, id: WebhookId): Promise<void> {
    if ((await this.get(tenantId, id)).enabled) return;
    throw new Problem("CONFLICT", "This webhook is off.", {
      why: "Switch it on first: PATCH /v1/webhooks/{id} with `enabled: true`.",
    });
  }

  async #checkSettings(tenantId: TenantId, settings: ReceiverSettings): Promise<void> {
    if (settings.kind === "webhook") {
      checkWebhookUrl(settings.url, this.#parts.rules);
      return;
    }
    if (settings.kind === "email_binding") {
      if (this.#parts.hasEmailBinding) return;
      throw new Problem("VALIDATION_ERROR", "`kind`: this deployment has no email binding.", {
        why: "Have the operator add a `send_email` binding named SEND_EMAIL, or send through a connection: `email`.",
      });
    }
    const { connection: slug, kind } = settings;
    const known = channelOf(kind)?.providers ?? [];
    const provider = await this.#providerOf(tenantId, slug);
    if (provider !== null && known.includes(provider)) return;
    throw new Problem(
      "VALIDATION_ERROR",
      `\`connection\`: must be a connection to ${known.map((name) => `"${name}"`).join(" or ")}.`,
    );
  }

  async #providerOf(tenantId: TenantId, slug: string): Promise<string | null> {
    try {
      return (await this.#parts.connections.get(tenantId, slug)).provider;
    } catch (error) {
      if (error instanceof Problem && error.code === "NOT_FOUND") return null;
      throw error;
    }
  }

  async #checkAgent(tenantId: TenantId, agentId: AgentId | null): Promise<void> {
    if (agentId === null || (await this.#parts.agents.find(tenantId, agentId)) !== null) return;
    throw new Problem("VALIDATION_ERROR", "`agent_id`: there is no such agent.");
  }

  async #newSecret(
    tenantId: TenantId,
    id: WebhookId,
    now: number,
  ): Promise<{ readonly secret: Redacted; readonly stored: StoredSigningSecret }> {
    const { id: secretId, secret } = newSigningSecret();
    const sealed = await this.#parts.sealed.seal(tenantId, sealedName(id, secretId), secret);
    return { secret, stored: { id: secretId, sealed, createdAt: now, expiresAt: null } };
  }

  #event(
    caller: MemberCaller,
    type: Extract<AuditEvent["event_type"], `webhook.${string}`>,
    id: WebhookId,
    context: AuditEvent["context"],
  ) {
    const event = eventBy(caller, this.#parts.clock(), {
      ...{ event_type: type, resource_type: "webhook", resource: id, context },
    });
    return this.#parts.db
      .of(caller.tenantId)
      .insert(auditOutbox)
      .values({ event: fitForOutbox(event) });
  }
}

/** What the ledger tells of a receiver: of a URL its origin, since the rest may be what lets its holder in. */
function described({
  settings,
  events,
  agentId,
  enabled,
  origin,
}: Receiver): Readonly<Record<string, unknown>> {
  const where = settings.kind === "webhook" ? { ...settings, url: new URL(settings.url).origin } : settings;
  return { ...where, events, agent_id: agentId, enabled, link_origin: origin };
}
