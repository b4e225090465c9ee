import type { HintField } from "../call-hint.ts";
import type { Provider } from "../provider.ts";

/**
 * Amounts are in the smallest unit. These have none below the unit, or three digits (docs.stripe.com/currencies). ISK and
 * UGX are not among them: they have none either, but are sent as if they had two.
 */
const DECIMALS = {
  ...{ bif: 0, clp: 0, djf: 0, gnf: 0, jpy: 0, kmf: 0, krw: 0, mga: 0 },
  ...{ pyg: 0, rwf: 0, vnd: 0, vuv: 0, xaf: 0, xof: 0, xpf: 0 },
  ...{ bhd: 3, jod: 3, kwd: 3, omr: 3, tnd: 3 },
};
const amount = (missing: string): HintField => ({
  at: ["body.amount"],
  missing,
  money: { currency: "body.currency", decimals: DECIMALS },
});
/** The connected account that it is done for. */
const account = { account: { at: ["header.stripe-account"] } };

/** SDKs send a bearer token, curl examples `-u sk_…:`. */
export const stripe: Provider = {
  id: "stripe",
  name: "Stripe",
  baseUrl: "https://api.stripe.com",
  hosts: ["api.stripe.com", "files.stripe.com"],
  tokenIn: [
    { in: "header", name: "authorization", scheme: "Bearer" },
    { in: "header", name: "authorization", scheme: "Basic" },
  ],
  credential: { kind: "bearer" },
  docs: "https://docs.stripe.com/api/authentication",
  probe: { method: "GET", path: "/v1/balance" },
  hints: [
    {
      method: "POST",
      path: "/v1/refunds",
      title: "Refund {amount} of {of}",
      fields: {
        amount: amount("everything"),
        of: { at: ["body.charge", "body.payment_intent"], missing: "an unnamed charge" },
        reason: { at: ["body.reason"] },
        ...account,
      },
    },
    {
      method: "POST",
      path: "/v1/payment_intents",
      title: "Take {amount} from {customer}",
      fields: {
        amount: amount("an unsaid amount"),
        customer: { at: ["body.customer"], missing: "no customer of record" },
        payment_method: { at: ["body.payment_method"] },
        destination: { at: ["body.transfer_data[destination]"] },
        ...account,
      },
    },
    {
      method: "POST",
      path: "/v1/payment_intents/{payment_intent}/capture",
      title: "Capture {amount} of {payment_intent}",
      fields: {
        amount: { ...amount("everything"), at: ["body.amount_to_capture"] },
        ...account,
      },
    },
    {
      method: "POST",
      path: "/v1/charges",
      title: "Charge {amount} to {customer}",
      fields: {
        amount: amount("an unsaid amount"),
        customer: { at: ["body.customer", "body.source"], missing: "no customer of record" },
        destination: { at: ["body.transfer_data[destination]", "body.destination"] },
        ...account,
      },
    },
    {
      method: "POST",
      path: "/v1/transfers",
      title: "Transfer {amount} to {destination}",
      fields: {
        amount: amount("an unsaid amount"),
        destination: { at: ["body.destination"], missing: "nobody named" },
        ...account,
      },
    },
    {
      method: "POST",
      path: "/v1/payouts",
      title: "Pay out {amount} to {destination}",
      fields: {
        amount: amount("an unsaid amount"),
        destination: { at: ["body.destination"], missing: "the default account" },
        ...account,
      },
    },
    { method: "DELETE", path: "/v1/customers/{customer}", title: "Delete {customer}", fields: account },
    {
      method: "DELETE",
      path: "/v1/subscriptions/{subscription}",
      title: "Cancel {subscription}",
      fields: account,
    },
  ],
};
