import { z } from "zod";
import { Problem } from "../../base/problem.ts";
import { isJsonObject, withMember, withoutMember } from "../json-members.ts";
import type { Outgoing } from "../kind.ts";
import { defineKind } from "../kind.ts";
import { parameterName, withParameter, withoutParameter } from "../parameters.ts";
import { secretText } from "../secret-text.ts";

/** The body as text that can be edited in place, with what turns it back into bytes; null if it is no such body. */
type Editable = { readonly format: "json" | "form"; readonly text: string } | null;

const JSON_TYPE = /^application\/(?:[a-z0-9.!#$&^_-]+\+)?json$/;

function formatOf(headers: Headers): "json" | "form" | null {
  // A compressed body cannot be edited, and one in another charset is read differently here and there.
  if (headers.has("content-encoding")) return null;
  const [essence = "", ...parameters] = (headers.get("content-type") ?? "").toLowerCase().split(";");
  const known = parameters.every((parameter) => /^\s*(?:charset="?utf-8"?)?\s*$/.test(parameter));
  if (!known) return null;
  if (JSON_TYPE.test(essence.trim())) return "json";
  return essence.trim() === "application/x-www-form-urlencoded" ? "form" : null;
}

function read(outgoing: Outgoing): Editable {
  const format = formatOf(outgoing.headers);
  if (format === null || outgoing.body === null) return null;
  // Latin-1 maps every byte to one character and back, so that a form keeps bytes that are not UTF-8.
  if (format === "form") return { format, text: Buffer.from(outgoing.body).toString("latin1") };
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(outgoing.body);
    return isJsonObject(text) ? { format, text } : null;
  } catch {
    return null;
  }
}

function write(outgoing: Outgoing, format: "json" | "form", text: string): void {
  outgoing.body = new Uint8Array(Buffer.from(text, format === "form" ? "latin1" : "utf8"));
  outgoing.headers.delete("content-length");
}

/**
 * An outermost field of a JSON object or of a form (`application/x-www-form-urlencoded`). Everything else in the body
 * stays byte for byte. Other bodies are refused at `inject`: where the field would go cannot be known.
 */
export const body = defineKind({
  kind: "body",
  options: z.strictObject({ field: parameterName }),
  needsBody: true,
  secretNames: () => ["secret"],
  strip(outgoing, { field }) {
    const found = read(outgoing);
    if (found === null) return;
    const { format, text } = found;
    const stripped = format === "json" ? withoutMember(text, field) : withoutParameter(text, field);
    if (stripped !== text) write(outgoing, format, stripped);
  },
  inject(outgoing, { field }, secrets) {
    const found = read(outgoing);
    if (found === null) {
      throw new Problem("VALIDATION_ERROR", "This connection's credential goes into the body.", {
        why: "Send an uncompressed JSON object or application/x-www-form-urlencoded body, in UTF-8.",
      });
    }
    const { format, text } = found;
    const secret = secretText(secrets, "secret");
    write(
      outgoing,
      format,
      format === "json" ? withMember(text, field, secret) : withParameter(text, field, secret),
    );
  },
  renderings: (_options, secrets) => [secretText(secrets, "secret")],
});
