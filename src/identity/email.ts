import { z } from "zod";

const ADDRESS = /^[!-?A-~]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+$/;
const MAX_CHARACTERS = 254;

/**
 * An address as two are compared: ASCII letters in lower case. Null for anything else than plain ASCII with a domain:
 * letters that only look or fold alike (a Kelvin sign is a "k" in lower case) must not be somebody else's address.
 */
export function foldEmail(text: unknown): string | null {
  if (typeof text !== "string" || text.length > MAX_CHARACTERS || !/^[\x21-\x7e]+$/.test(text)) return null;
  const folded = text.toLowerCase();
  return ADDRESS.test(folded) ? folded : null;
}

export const emailSchema = z
  .string()
  .max(MAX_CHARACTERS)
  .refine((text) => foldEmail(text) !== null, "must be an address such as ada@example.com")
  .transform((text) => text.toLowerCase());

export const domainSchema = z
  .string()
  .max(253)
  .regex(/^[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+$/, "must be a domain such as example.com, in lower case");

/** Whether an address is of one of the domains, by the whole domain; of any where there are none. */
export function isOfDomain(email: string, domains: readonly string[]): boolean {
  return domains.length === 0 || domains.includes(email.slice(email.lastIndexOf("@") + 1));
}
