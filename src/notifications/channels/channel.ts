import type { Message } from "../message.ts";
import type { ReceiverSettings } from "../schemas.ts";

/** A request below a connection's base URL, but for its credential. */
export interface Composed {
  readonly path: string;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What an answer says of a delivery; `reason` is one of our own words, never the provider's text. */
export type Verdict =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: string; readonly retryAfterSeconds: number | null };

export interface ProviderAnswer {
  readonly status: number;
  /** The parsed body where the channel asked for it (`readsAnswer`) and it is JSON, else null. */
  readonly body: unknown;
}

/**
 * A way to tell people through a provider that the tenant has a connection to. One file per channel; the conformance
 * suite (test/worker/notifications/channels.test.ts) runs over all of them.
 */
export interface ConnectionChannel<S extends ReceiverSettings = ReceiverSettings> {
  readonly kind: S["kind"];
  /** Of the catalogue: what the connection must lead to. */
  readonly providers: readonly string[];
  /** Whether the status does not say by itself what became of it. Bodies are read for this alone, and not kept. */
  readonly readsAnswer: boolean;
  /** `deliveryId`: the same for every try. Agents decide what stands in the message's values: they are escaped here. */
  compose(
    message: Message,
    settings: S,
    given: { readonly provider: string; readonly deliveryId: string },
  ): Composed;
  verdict(answer: ProviderAnswer): Verdict;
}

export const JSON_TYPE = "application/json; charset=utf-8";

/** For providers that answer 2xx where they took it. */
export function verdictByStatus({ status }: ProviderAnswer): Verdict {
  if (status >= 200 && status < 300) return { ok: true };
  return { ok: false, reason: "refused", retryAfterSeconds: null };
}

/** A member of parsed JSON; undefined where there is none. */
export function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

/** `&`, `<` and `>` as entities: all that Slack's and Telegram's markup takes. */
export function escapeAngles(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
