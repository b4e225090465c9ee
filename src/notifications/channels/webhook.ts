import type { Redacted } from "../../base/redacted.ts";
import { approvalUrl, type CleanNotice } from "../message.ts";
import { messageId, signatures } from "../signing.ts";

/**
 * A delivery by the Standard Webhooks specification (standardwebhooks.com): `{type, timestamp, data}`, signed. Data that
 * belong to an approval say in `url` where it is answered. `now` in milliseconds since 1970.
 */
export function composeWebhook(
  notice: CleanNotice,
  origin: string,
  secrets: readonly Redacted[],
  now: number,
): { readonly headers: Readonly<Record<string, string>>; readonly body: string } {
  const url = approvalUrl(origin, notice.data);
  const body = JSON.stringify({
    type: notice.type,
    timestamp: new Date(notice.at).toISOString(),
    data: url === null ? notice.data : { ...notice.data, url },
  });
  const id = messageId(notice.id);
  const timestamp = Math.floor(now / 1_000);
  return {
    headers: {
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": signatures(secrets, { id, timestamp, body }),
    },
    body,
  };
}
