import type { TenantId } from "../base/ids.ts";

/** JSON, without secrets and tokens. */
export type NoticeValue = string | number | boolean | null | readonly NoticeValue[] | NoticeData;
export interface NoticeData {
  readonly [name: string]: NoticeValue;
}

/** Something that people or their systems are told about. */
export interface Notice {
  /**
   * The id of the event it is about, 1 to 200 visible ASCII characters: a notice that comes again is known by it, and
   * kept once.
   */
  readonly id: string;
  readonly tenantId: TenantId;
  /** `approval.requested`, `permission.granted`, `budget.exceeded` …: of one of `NOTICE_FAMILIES`. */
  readonly type: string;
  /** When it happened, in milliseconds since 1970. */
  readonly at: number;
  /**
   * What else there is to know. `approval_id` makes a link to where the approval is answered; `agent_id` says whose it
   * is, for receivers that are for one agent. Messages to people show the first ten members, so what matters comes first.
   */
  readonly data: NoticeData;
}

/** What other objects ask of a tenant's queue. */
export interface NoticeQueue {
  /** Returns once the notice survives a crash. Throws only where the queue's object cannot be reached. */
  enqueue(notice: Notice): Promise<void>;
}

/** What there can be notices about: the part of a type before its dot. */
const NOTICE_FAMILIES = ["approval", "permission", "budget", "webhook"] as const;

/** Sent by `POST /v1/webhooks/{id}/test`, to that receiver alone. */
export const TEST_TYPE = "webhook.test";

const PATTERN = /^(?:\*|([a-z]+)\.(?:\*|[a-z][a-z_]{0,40}))$/;

/** Whether a text is `*`, `approval.*` or `approval.requested`, of a family that there is. */
export function isEventPattern(text: string): boolean {
  const match = PATTERN.exec(text);
  if (match === null) return false;
  const [, family] = match;
  return family === undefined || NOTICE_FAMILIES.some((known) => known === family);
}

/** Whether a receiver of these patterns, for one agent or for all, is told of a notice. */
export function concerns(
  receiver: { readonly events: readonly string[]; readonly agentId: string | null },
  notice: { readonly type: string; readonly data: NoticeData },
): boolean {
  if (receiver.agentId !== null && notice.data["agent_id"] !== receiver.agentId) return false;
  return receiver.events.some(
    (pattern) =>
      pattern === "*" ||
      pattern === notice.type ||
      (pattern.endsWith(".*") && notice.type.startsWith(pattern.slice(0, -1))),
  );
}
