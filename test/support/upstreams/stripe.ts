import { createHash, randomBytes } from "node:crypto";
import { header } from "../../../local/upstream.ts";
import { type Emulation, emulate, type Exchange, json, part } from "./emulation.ts";

/** What a stored file's bytes hash to, by the file's id. */
export type Digests = Map<string, string>;

export interface StripeEmulation extends Emulation {
  digests: Digests;
  /** The bytes of every quote's PDF. */
  pdf: Buffer;
}

/**
 * Stripe's API v1 (docs.stripe.com/api): form bodies, `{object: "list", has_more}`, `Idempotency-Key` replays, typed
 * errors. `api.stripe.com` and `files.stripe.com` in one.
 */
export function stripeEmulation(credential: string): StripeEmulation {
  const customers: Record<string, unknown>[] = [];
  const replays = new Map<string, { sent: string; answer: Record<string, unknown> }>();
  const digests: Digests = new Map();
  const pdf = randomBytes(300_000);

  /** Answers what `make` makes, the same again where the idempotency key is known. */
  const create = (exchange: Exchange, make: (fields: URLSearchParams) => Record<string, unknown>): void => {
    const sent = exchange.request.body.toString();
    const key = header(exchange.request, "idempotency-key");
    const known = key === undefined ? undefined : replays.get(key);
    if (known !== undefined && known.sent !== sent) {
      json(exchange, 400, failure("idempotency_error", "Keys can only be used with the same parameters."));
      return;
    }
    const answer = known?.answer ?? make(new URLSearchParams(sent));
    if (key !== undefined) replays.set(key, { sent, answer });
    json(exchange, 200, answer, {
      "request-id": id("req"),
      ...(key === undefined ? {} : { "idempotency-key": key }),
      ...(known === undefined ? {} : { "idempotent-replayed": "true" }),
    });
  };

  const emulation = emulate({
    place: { header: "authorization", value: `Bearer ${credential}` },
    refuse: (exchange) => {
      const given = exchange.echo.replace(/^Bearer /, "");
      json(exchange, 401, failure("invalid_request_error", `Invalid API Key provided: ${given}`), {
        "www-authenticate": 'Basic realm="Stripe"',
      });
    },
    calls: {
      "POST /v1/customers": (exchange) =>
        create(exchange, (fields) => {
          const customer = {
            id: id("cus"),
            object: "customer",
            email: fields.get("email"),
            description: `made with ${exchange.echo}`,
            livemode: false,
            metadata: metadataOf(fields),
          };
          customers.unshift(customer);
          return customer;
        }),
      "GET /v1/customers": (exchange) => {
        const { searchParams } = exchange.url;
        const limit = Number(searchParams.get("limit") ?? 10);
        const after = searchParams.get("starting_after");
        const start = after === null ? 0 : customers.findIndex((customer) => customer["id"] === after) + 1;
        json(exchange, 200, {
          object: "list",
          url: "/v1/customers",
          has_more: start + limit < customers.length,
          data: customers.slice(start, start + limit),
        });
      },
      "DELETE /v1/customers/:id": (exchange) => {
        const at = customers.findIndex((customer) => customer["id"] === exchange.params["id"]);
        if (at === -1) {
          json(
            exchange,
            404,
            failure("invalid_request_error", `No such customer: '${exchange.params["id"]}'`, {
              code: "resource_missing",
              param: "id",
            }),
          );
          return;
        }
        const [deleted] = customers.splice(at, 1);
        json(exchange, 200, { id: deleted?.["id"], object: "customer", deleted: true });
      },
      "POST /v1/payment_intents": (exchange) => {
        const fields = new URLSearchParams(exchange.request.body.toString());
        const intent = {
          id: id("pi"),
          object: "payment_intent",
          amount: Number(fields.get("amount")),
          currency: fields.get("currency"),
        };
        if (fields.get("payment_method") === "pm_card_chargeDeclined") {
          json(
            exchange,
            402,
            failure("card_error", "Your card was declined.", {
              code: "card_declined",
              decline_code: "generic_decline",
              charge: id("ch"),
              doc_url: "https://docs.stripe.com/error-codes/card-declined",
              payment_intent: { ...intent, status: "requires_payment_method" },
              advice_code: exchange.echo,
            }),
            { "request-id": id("req") },
          );
          return;
        }
        create(exchange, () => ({ ...intent, status: "succeeded", description: exchange.echo }));
      },
      "POST /v1/refunds": (exchange) =>
        create(exchange, (fields) => ({
          ...{ id: id("re"), object: "refund", status: "succeeded" },
          ...{ amount: Number(fields.get("amount")), charge: fields.get("charge") },
        })),
      "POST /v1/files": (exchange) => {
        const file = part(exchange.request, "file");
        const fileId = id("file");
        digests.set(fileId, createHash("sha256").update(file.bytes).digest("hex"));
        json(exchange, 200, {
          id: fileId,
          object: "file",
          purpose: part(exchange.request, "purpose").bytes.toString(),
          filename: file.filename,
          size: file.bytes.length,
          type: file.contentType,
        });
      },
      "GET /v1/quotes/:id/pdf": (exchange) => {
        exchange.response.writeHead(200, { "content-type": "application/pdf" });
        exchange.response.end(pdf);
      },
    },
  });
  return { ...emulation, digests, pdf };
}

/** A body of Stripe's errors. */
export function failure(type: string, message: string, more: Record<string, unknown> = {}) {
  return { error: { type, message, ...more } };
}

function id(prefix: string): string {
  return `${prefix}_${randomBytes(12).toString("hex")}`;
}

function metadataOf(fields: URLSearchParams): Record<string, string> {
  return Object.fromEntries(
    [...fields].flatMap(([name, value]) => {
      const key = /^metadata\[(.+)\]$/.exec(name)?.[1];
      return key === undefined ? [] : [[key, value]];
    }),
  );
}
