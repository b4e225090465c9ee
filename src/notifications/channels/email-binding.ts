import type { Message } from "../message.ts";
import type { SettingsOf } from "../schemas.ts";
import { mailOf } from "./mail.ts";

/** Cloudflare's `send_email` binding, as far as it is used: it takes a mail by its parts and makes the MIME itself. */
export interface EmailBinding {
  send(mail: {
    readonly from: string;
    readonly to: string[];
    readonly subject: string;
    readonly text: string;
    readonly html: string;
  }): Promise<unknown>;
}

/** Sends by the deployment's binding. Rejects where Cloudflare does not take it: an address that is not verified, say. */
export async function sendByBinding(
  binding: EmailBinding,
  message: Message,
  { from, to }: SettingsOf<"email_binding">,
): Promise<void> {
  await binding.send({ ...mailOf(message), from, to: [...to] });
}
