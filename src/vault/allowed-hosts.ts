import { z } from "zod";
import { canonicalAddress } from "../base/address.ts";

const FORM =
  'must be a host such as "api.stripe.com" or "api.example.com:8443", without scheme, path or wildcard';
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
const HOST = /^(?<name>\[[^\]]*\]|[^:[\]]*)(?::(?<port>[1-9][0-9]{0,4}))?$/;
const DEFAULT_PORT = "443";

type Checked = { readonly host: string } | { readonly fault: string };

/** The name as it is compared and sent: a DNS name in lower case, `localhost`, or a canonical address. */
function checkName(name: string): Checked {
  if (name.startsWith("[")) {
    const address = canonicalAddress(name.slice(1, -1));
    if (address === null || !address.includes(":")) return { fault: FORM };
    return { host: `[${address}]` };
  }
  let parsed: string;
  try {
    // Only what no URL parser could take for something else than a host name.
    if (/[\s%*@/\\?#<>^|\p{Cc}\p{Cf}]/u.test(name)) return { fault: FORM };
    parsed = new URL(`https://${name}`).hostname;
  } catch {
    return { fault: FORM };
  }
  const host = parsed.endsWith(".") ? parsed.slice(0, -1) : parsed;
  if (canonicalAddress(host) !== null || host === "localhost") return { host };
  const labels = host.split(".");
  const isName = labels.length >= 2 && host.length <= 253 && labels.every((label) => LABEL.test(label));
  return isName ? { host } : { fault: FORM };
}

function checkHost(text: string): Checked {
  const parts = HOST.exec(text)?.groups;
  const port = parts?.["port"];
  if (parts?.["name"] === undefined || (port !== undefined && Number(port) > 65_535)) return { fault: FORM };
  const checked = checkName(parts["name"]);
  if ("fault" in checked) return checked;
  const written = port === undefined ? checked.host : `${checked.host}:${port}`;
  if (written !== text) return { fault: `must be written as "${written}"` };
  return { host: port === DEFAULT_PORT ? checked.host : written };
}

/**
 * `host[:port]`, one exact destination; port 443 is left out. Other spellings of a host (capitals, a trailing dot, IDN,
 * short or hexadecimal addresses) are refused with the one that they stand for (attacks 3, 4, 5, 10).
 */
const allowedHostSchema = z
  .string()
  .min(1)
  .max(300)
  .transform((text, context) => {
    const result = checkHost(text);
    if ("host" in result) return result.host;
    context.addIssue({ code: "custom", message: result.fault });
    return z.NEVER;
  });

/** The hosts that a secret may be sent to; an empty list is none, `null` leaves it to the first provider. */
export const allowedHostsSchema = z
  .array(allowedHostSchema)
  .max(50)
  .transform((hosts): readonly string[] => [...new Set(hosts)])
  .nullable();

/** Whether `next` lets a secret go anywhere that `previous` did not (`null`: wherever its first provider says). */
export function widensHosts(previous: readonly string[] | null, next: readonly string[] | null): boolean {
  if (next === null) return previous !== null;
  const held = new Set(previous ?? []);
  return next.some((host) => !held.has(host));
}
