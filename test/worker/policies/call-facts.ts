import { newId } from "../../../src/base/ids.ts";
import type { BodyView } from "../../../src/policies/request-view.ts";
import type { PolicyFacts } from "../../../src/policies/verdict.ts";

/** A call, as far as it matters. */
export interface CallLike {
  readonly method?: string;
  readonly path?: string;
  readonly json?: unknown;
  readonly form?: unknown;
  readonly body?: BodyView;
  readonly size?: number | null;
  readonly ip?: string;
  /** ISO 8601. */
  readonly at?: string;
  readonly trustTier?: string;
  readonly tier?: "standard" | "sensitive" | "critical";
}

/** What a policy sees of it. */
export function callFacts(call: CallLike): PolicyFacts {
  return {
    subject: "calls",
    request: {
      method: call.method ?? "GET",
      path: call.path ?? "/",
      host: "api.example.com",
      query: {},
      headers: {},
      size: call.size === undefined ? 0 : call.size,
      body: bodyOf(call),
    },
    asked: null,
    agent: { id: newId("agent"), name: "an agent", trustTier: call.trustTier ?? "standard" },
    token: null,
    connection: { slug: "stripe", provider: null },
    tier: call.tier ?? "standard",
    ip: call.ip ?? "192.0.2.1",
    now: Date.parse(call.at ?? "2026-11-18T12:00:00Z"),
  };
}

function bodyOf({ json, form, body }: CallLike): BodyView {
  if (body !== undefined) return body;
  if (json !== undefined) return { kind: "json", value: json };
  return form === undefined ? { kind: "none" } : { kind: "form", value: form };
}
