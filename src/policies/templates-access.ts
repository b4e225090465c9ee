import { z } from "zod";
import { cidrSchema } from "../base/address.ts";
import { both, celPaths, celString, either } from "./template-cel.ts";
import { pathsSchema, template, type Template } from "./template.ts";

const READS = '["GET", "HEAD", "OPTIONS"]';

/** In CEL's order: Sunday is 0. */
const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const;

const minutesOf = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));

const clockSchema = (pattern: RegExp, example: string) =>
  z.string().regex(pattern, `must be a time of day such as "${example}"`);

const timeZoneSchema = z
  .string()
  .max(64)
  .refine(isTimeZone, 'must be a time zone such as "Europe/Berlin"')
  .describe("As the IANA's database names it.");

function isTimeZone(name: string): boolean {
  // Offsets are accepted in some places and not in others.
  if (!/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(name)) return false;
  try {
    new Intl.DateTimeFormat("en", { timeZone: name }).format();
    return true;
  } catch {
    return false;
  }
}

/** Who calls, when, from where, with which method. */
export const ACCESS_TEMPLATES: readonly Template[] = [
  template({
    id: "read-only",
    title: "Read only",
    description: "Lets GET, HEAD and OPTIONS through and nothing else.",
    effect: "deny",
    parameters: z.strictObject({ paths: pathsSchema }),
    example: {},
    expand: ({ paths }) => ({
      condition: both(`!(request.method in ${READS})`, celPaths(paths)),
      message: "Only reading is allowed here.",
    }),
  }),

  template({
    id: "no-deletes",
    title: "No deletes",
    description: "Refuses DELETE, and calls of any method to paths that delete.",
    effect: "deny",
    parameters: z.strictObject({
      paths: pathsSchema.describe("Paths that delete whatever the method, such as `/v1/*/delete`."),
    }),
    example: { paths: ["/api/*.delete"] },
    expand: ({ paths }) => {
      const byPath = celPaths(paths);
      return {
        condition: ['request.method == "DELETE"', ...(byPath === null ? [] : [byPath])].join(" || "),
        message: "Nothing may be deleted here.",
      };
    },
  }),

  template({
    id: "approve-writes",
    title: "People approve what changes something",
    description: "Asks people about every call but GET, HEAD and OPTIONS.",
    effect: "require_approval",
    parameters: z.strictObject({ paths: pathsSchema }),
    example: { paths: ["/v1/refunds*"] },
    expand: ({ paths }) => ({
      condition: both(`!(request.method in ${READS})`, celPaths(paths)),
      message: "A person must approve this call.",
    }),
  }),

  template({
    id: "business-hours",
    title: "Business hours",
    description: "Refuses calls outside of the hours of some days of the week, in a time zone.",
    effect: "deny",
    parameters: z
      .strictObject({
        time_zone: timeZoneSchema,
        days: z.array(z.enum(DAYS)).min(1).max(7).default(["mon", "tue", "wed", "thu", "fri"]),
        from: clockSchema(/^(?:[01]\d|2[0-3]):[0-5]\d$/, "09:00").default("09:00"),
        to: clockSchema(/^(?:(?:[01]\d|2[0-3]):[0-5]\d|24:00)$/, "17:30")
          .default("18:00")
          .describe("The first minute that is too late."),
      })
      .refine(({ from, to }) => from < to, { path: ["to"], message: "must be later than `from`" }),
    example: {
      time_zone: "Europe/Berlin",
      days: ["mon", "tue", "wed", "thu", "fri"],
      from: "08:00",
      to: "18:30",
    },
    expand: ({ time_zone, days, from, to }) => {
      const zone = celString(time_zone);
      const numbers = DAYS.flatMap((day, index) => (days.includes(day) ? [index] : []));
      const minutes = `time.getHours(${zone}) * 60 + time.getMinutes(${zone})`;
      const isOpen = both(
        `time.getDayOfWeek(${zone}) in [${numbers.join(", ")}]`,
        `${minutes} >= ${minutesOf(from)}`,
        `${minutes} < ${minutesOf(to)}`,
      );
      return {
        condition: `!(${isOpen})`,
        message: `Calls are let through on ${DAYS.filter((day) => days.includes(day)).join(", ")} from ${from} to ${to} (${time_zone}).`,
      };
    },
  }),

  template({
    id: "ip-range",
    title: "From these addresses only",
    description: "Refuses calls from any other address.",
    effect: "deny",
    parameters: z.strictObject({
      cidrs: z.array(cidrSchema).min(1).max(50).describe("Addresses and CIDRs."),
    }),
    example: { cidrs: ["203.0.113.0/24", "2001:db8::/32"] },
    expand: ({ cidrs }) => ({
      condition: `!${either(cidrs.map((cidr) => `ip.inRange(${celString(cidr)})`))}`,
      message: "Not from this address.",
    }),
  }),

  template({
    id: "approve-untrusted",
    title: "People approve what untrusted agents do",
    description: "Asks people about every call of an agent that is not trusted as usual.",
    effect: "require_approval",
    parameters: z.strictObject({ paths: pathsSchema }),
    example: {},
    expand: ({ paths }) => ({
      condition: both('agent.trust_tier == "untrusted"', celPaths(paths)),
      message: "A person must approve this agent's calls.",
    }),
  }),

  template({
    id: "approve-critical",
    title: "People approve what uses critical secrets",
    description: "Asks people about every call that uses a critical secret.",
    effect: "require_approval",
    parameters: z.strictObject({ paths: pathsSchema }),
    example: {},
    expand: ({ paths }) => ({
      condition: both('secret.tier == "critical"', celPaths(paths)),
      message: "A person must approve calls with this credential.",
    }),
  }),
];
