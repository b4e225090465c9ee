import type { Clock } from "../base/clock.ts";
import type { DeliveryId, TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import { within } from "../base/within.ts";
import type { DestinationRules } from "../connections/destination.ts";
import type { SealedTexts } from "../vault/sealed-text.ts";
import { channelOf } from "./channels/channels.ts";
import { type EmailBinding, sendByBinding } from "./channels/email-binding.ts";
import { composeWebhook } from "./channels/webhook.ts";
import type { ConnectionCall } from "./connection-call.ts";
import { type CleanNotice, messageOf } from "./message.ts";
import type { Receiver } from "./receivers.ts";
import { retryAfterSeconds } from "./schedule.ts";
import { sealedName } from "./signing.ts";
import { checkWebhookUrl } from "./webhook-url.ts";

/** One try of a delivery. */
export interface Try {
  readonly tenantId: TenantId;
  readonly deliveryId: DeliveryId;
  /** From 1. */
  readonly attempt: number;
  readonly notice: CleanNotice;
}

/** What became of it. `reason` is one of our own words: nothing of an answer is kept but its status. */
export type Receipt =
  | { readonly kind: "delivered"; readonly status: number | null }
  | {
      readonly kind: "failed";
      readonly status: number | null;
      readonly reason: string;
      readonly retryAfterSeconds: number | null;
    }
  /** The receiver asks never to be told again (410). */
  | { readonly kind: "gone"; readonly status: number };

export interface SenderParts {
  readonly connectionCall: Pick<ConnectionCall, "send">;
  readonly sealed: SealedTexts;
  /** What may be reached from a gateway that is known by this origin. */
  readonly rulesFor: (origin: string) => DestinationRules;
  readonly emailBinding: EmailBinding | null;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly clock: Clock;
}

/** A receiver has this long to answer. */
export const TIMEOUT_MS = 15_000;

/** Tells one receiver of one notice, once. */
export class Sender {
  readonly #parts: SenderParts;

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  /** Never throws, and takes little more than 15 s. */
  async send(given: Try, receiver: Receiver): Promise<Receipt> {
    try {
      switch (receiver.settings.kind) {
        case "webhook":
          return await this.#post(given, receiver, receiver.settings.url);
        case "email_binding":
          return await this.#mail(given, receiver, receiver.settings);
        case "slack":
        case "telegram":
        case "email":
          return await this.#through(given, receiver, receiver.settings);
      }
    } catch (error) {
      return { kind: "failed", status: null, reason: reasonOf(error), retryAfterSeconds: null };
    }
  }

  async #post({ notice, tenantId }: Try, receiver: Receiver, url: string): Promise<Receipt> {
    const { clock, fetch, rulesFor, sealed } = this.#parts;
    // Once more: the deployment's rules may be others by now.
    checkWebhookUrl(url, rulesFor(receiver.origin));
    const now = clock();
    const live = receiver.secrets.filter(({ expiresAt }) => expiresAt === null || expiresAt > now);
    const secrets = await Promise.all(
      live.map((one) => sealed.open(tenantId, sealedName(receiver.id, one.id), one.sealed)),
    );
    const { headers, body } = composeWebhook(notice, receiver.origin, secrets, now);
    const response = await fetch(url, {
      method: "POST",
      headers: { ...headers, "user-agent": "valetkey" },
      body,
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await response.body?.cancel();
    const { status } = response;
    if (status >= 200 && status < 300) return { kind: "delivered", status };
    if (status === 410) return { kind: "gone", status };
    const reason = status >= 300 && status < 400 ? "redirected" : "refused";
    return { kind: "failed", status, reason, ...waitOf(response.headers.get("retry-after"), now) };
  }

  async #mail(
    { notice }: Try,
    receiver: Receiver,
    settings: Parameters<typeof sendByBinding>[2],
  ): Promise<Receipt> {
    const { emailBinding } = this.#parts;
    if (emailBinding === null) return failed("no_email_binding");
    await within(TIMEOUT_MS, sendByBinding(emailBinding, messageOf(notice, receiver.origin), settings));
    return { kind: "delivered", status: null };
  }

  async #through(
    { attempt, deliveryId, notice, tenantId }: Try,
    { id, origin }: Receiver,
    settings: Extract<Receiver["settings"], { readonly connection: string }>,
  ): Promise<Receipt> {
    const { clock, connectionCall, rulesFor } = this.#parts;
    const channel = channelOf(settings.kind);
    if (channel === null) return failed("no_channel");
    const message = messageOf(notice, origin);
    const answer = await connectionCall.send({
      ...{ tenantId, deliveryId, attempt, webhookId: id, slug: settings.connection },
      providers: channel.providers,
      rules: rulesFor(origin),
      compose: (provider) => channel.compose(message, settings, { provider, deliveryId }),
      readsAnswer: channel.readsAnswer,
      timeoutMs: TIMEOUT_MS,
    });
    const { status } = answer;
    const verdict = channel.verdict(answer);
    if (verdict.ok) return { kind: "delivered", status };
    const asked = waitOf(answer.retryAfter, clock()).retryAfterSeconds;
    return {
      kind: "failed",
      status,
      reason: verdict.reason,
      retryAfterSeconds: verdict.retryAfterSeconds ?? asked,
    };
  }
}

function waitOf(header: string | null, now: number) {
  return { retryAfterSeconds: retryAfterSeconds(header, now) };
}

function failed(reason: string): Receipt {
  return { kind: "failed", status: null, reason, retryAfterSeconds: null };
}

/** A word for people, without a message: those of others may say anything. */
function reasonOf(error: unknown): string {
  if (error instanceof Problem) return error.code.toLowerCase();
  if (error instanceof Error && (error.name === "TimeoutError" || error.name === "AbortError"))
    return "timeout";
  return "unreachable";
}
