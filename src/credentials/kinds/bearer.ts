import { z } from "zod";
import { checkHeaderSecret, removeHeader } from "../header-field.ts";
import { defineKind } from "../kind.ts";
import { secretText } from "../secret-text.ts";

/**
 * `Authorization: Bearer {secret}` (RFC 6750, 2.1). `prefix` is the scheme where a provider has a name of its own for
 * the same thing: `token`, `Bot`, `Token`.
 */
export const bearer = defineKind({
  kind: "bearer",
  options: z.strictObject({
    prefix: z
      .string()
      .max(64)
      .regex(/^[A-Za-z][A-Za-z0-9._-]*$/, "must be an authentication scheme, such as Bearer or token")
      .default("Bearer"),
  }),
  needsBody: false,
  secretNames: () => ["secret"],
  header: () => "authorization",
  strip(outgoing) {
    removeHeader(outgoing.headers, "authorization");
  },
  inject(outgoing, { prefix }, secrets) {
    const secret = checkHeaderSecret("secret", secretText(secrets, "secret"));
    outgoing.headers.set("authorization", `${prefix} ${secret}`);
  },
  renderings: (_options, secrets) => [secretText(secrets, "secret")],
});
