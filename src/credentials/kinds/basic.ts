import { z } from "zod";
import { removeHeader } from "../header-field.ts";
import type { OpenSecrets } from "../kind.ts";
import { defineKind } from "../kind.ts";
import { secretText, unusable } from "../secret-text.ts";

/** RFC 7617, 2: neither part may hold a control character. */
const CONTROL = /\p{Cc}/u;

const fixedText = z
  .string()
  .max(256)
  .refine((text) => !CONTROL.test(text), "must not hold control characters");

interface Options {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

/** What is fixed in the options is no secret; where one part is fixed, the other is the one secret. */
function secretNames({ username, password }: Options): readonly string[] {
  return username === undefined && password === undefined ? ["username", "password"] : ["secret"];
}

/** `user:password`, before base64. */
function pair(options: Options, secrets: OpenSecrets): string {
  const single = secretNames(options).length === 1;
  const username = options.username ?? secretText(secrets, single ? "secret" : "username");
  const password = options.password ?? secretText(secrets, single ? "secret" : "password");
  const usernameSecret = single ? "secret" : "username";
  if (username.includes(":"))
    throw unusable(usernameSecret, "has a colon, which a Basic username cannot have");
  if (CONTROL.test(username)) throw unusable(usernameSecret, "has a control character");
  if (CONTROL.test(password)) throw unusable(single ? "secret" : "password", "has a control character");
  return `${username}:${password}`;
}

/**
 * `Authorization: Basic base64(username:password)` in UTF-8 (RFC 7617). Without options both parts are secrets
 * (`username`, `password`). `username` fixes the name (an account id, an e-mail address) and makes the password the
 * one secret; `password` fixes the password, often to `""`, and makes the username the secret (Stripe).
 */
export const basic = defineKind<Options>({
  kind: "basic",
  options: z
    .strictObject({
      username: fixedText.refine((text) => !text.includes(":"), "must not hold a colon").optional(),
      password: fixedText.optional(),
    })
    .refine(({ username, password }) => username === undefined || password === undefined, {
      path: ["password"],
      message: "must be a secret where the username is fixed",
    }),
  needsBody: false,
  secretNames,
  header: () => "authorization",
  strip(outgoing) {
    removeHeader(outgoing.headers, "authorization");
  },
  inject(outgoing, options, secrets) {
    const encoded = Buffer.from(pair(options, secrets), "utf8").toString("base64");
    outgoing.headers.set("authorization", `Basic ${encoded}`);
  },
  renderings(options, secrets) {
    return [...secretNames(options).map((name) => secretText(secrets, name)), pair(options, secrets)];
  },
});
