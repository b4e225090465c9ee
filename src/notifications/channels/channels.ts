import type { ReceiverSettings } from "../schemas.ts";
import type { ConnectionChannel } from "./channel.ts";
import { email } from "./email.ts";
import { slack } from "./slack.ts";
import { telegram } from "./telegram.ts";

/** What goes out through a connection, by kind. */
export const connectionChannels = { email, slack, telegram } as const;

/** The channel of a receiver's kind; null for one that needs no connection. */
export function channelOf(kind: ReceiverSettings["kind"]): ConnectionChannel | null {
  if (kind === "webhook" || kind === "email_binding") return null;
  return connectionChannels[kind] as ConnectionChannel;
}
