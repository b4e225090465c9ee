import { z } from "zod";
import { checkHeaderSecret, headerName, removeHeader } from "../header-field.ts";
import { defineKind } from "../kind.ts";
import { secretText } from "../secret-text.ts";

const PLACEHOLDER = "{secret}";

/** Any header: `X-Api-Key: {secret}`, or another `format` around the secret. */
export const header = defineKind({
  kind: "header",
  options: z.strictObject({
    name: headerName,
    format: z
      .string()
      .max(256)
      .regex(
        /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/,
        "must be printable ASCII without space at either end",
      )
      .refine((format) => format.split(PLACEHOLDER).length === 2, `must hold ${PLACEHOLDER} once`)
      .default(PLACEHOLDER),
  }),
  needsBody: false,
  secretNames: () => ["secret"],
  header: ({ name }) => name,
  strip(outgoing, { name }) {
    removeHeader(outgoing.headers, name);
  },
  inject(outgoing, { name, format }, secrets) {
    const secret = checkHeaderSecret("secret", secretText(secrets, "secret"));
    // A function, since `$&` in a replacement text would be a pattern.
    outgoing.headers.set(
      name,
      format.replace(PLACEHOLDER, () => secret),
    );
  },
  renderings: (_options, secrets) => [secretText(secrets, "secret")],
});
