import { declareFor } from "../base/endpoint.ts";
import { Problem } from "../base/problem.ts";
import type { Api } from "./context.ts";

const endpoint = declareFor<Api>();

const CONTACT = /^(?:mailto:|https:\/\/|tel:)[\x21-\x2b\x2d-\x7e]+$/;
const EXPIRES = /^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?$/;

/** What a deployment says in its variables; both or none. */
export interface SecuritySettings {
  /** `mailto:`, `https:` or `tel:` URIs, the preferred one first, separated by commas. */
  readonly SECURITY_CONTACT?: string | undefined;
  /** `2027-01-31`, with a time in UTC or without. */
  readonly SECURITY_EXPIRES?: string | undefined;
}

/**
 * Where to report vulnerabilities of this deployment (RFC 9116), null where it does not say or no longer does: a file
 * that has expired is not to be used. `now` is in milliseconds since 1970. Throws MISCONFIGURED.
 */
export function securityTxt(settings: SecuritySettings, origin: string, now: number): string | null {
  const { SECURITY_CONTACT: contact = "", SECURITY_EXPIRES: expires = "" } = settings;
  if (contact === "" && expires === "") return null;
  const contacts = contact.split(",").map((one) => one.trim());
  const until = EXPIRES.test(expires) ? Date.parse(expires) : Number.NaN;
  if (!contacts.every((one) => CONTACT.test(one)) || Number.isNaN(until)) {
    throw new Problem(
      "MISCONFIGURED",
      'SECURITY_CONTACT must be URIs such as "mailto:security@example.com", SECURITY_EXPIRES a date such as "2027-01-31".',
    );
  }
  if (until <= now) return null;
  return [
    ...contacts.map((one) => `Contact: ${one}`),
    `Expires: ${new Date(until).toISOString()}`,
    `Canonical: ${origin}/.well-known/security.txt`,
    "",
  ].join("\n");
}

export const securityTxtEndpoints = [
  endpoint({
    method: "GET",
    path: "/.well-known/security.txt",
    operationId: "getSecurityTxt",
    tag: "Deployment",
    summary: "Where to report vulnerabilities of this deployment (RFC 9116)",
    access: "public",
    responses: { 200: { media: { "text/plain": null } } },
    errors: ["NOT_FOUND"],
    handler: ({ c }) => {
      const text = securityTxt(c.env, c.get("services").origin, Date.now());
      if (text !== null) return c.body(text, 200, { "content-type": "text/plain; charset=utf-8" });
      throw new Problem("NOT_FOUND", "This deployment does not say where to report vulnerabilities.");
    },
  }),
];
