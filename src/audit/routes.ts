import { z } from "zod";
import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { EVENT_TYPES, RESOURCE_TYPES } from "./event.ts";
import { eventPageSchema } from "./responses.ts";

const endpoint = declareFor<Api>();

const TIME = 'must be a time such as "2026-01-31T12:00:00Z"';

const timeSchema = z.iso.datetime({ offset: true, error: TIME }).transform((text) => Date.parse(text));

const countSchema = z
  .string()
  .regex(/^[1-9][0-9]{0,8}$/, "must be a whole number from 1")
  .transform(Number);

const querySchema = z.strictObject({
  event_type: z.enum(EVENT_TYPES).optional(),
  resource_type: z.enum(RESOURCE_TYPES).optional(),
  actor: z.string().min(1).max(256).optional(),
  start_time: timeSchema.optional(),
  end_time: timeSchema.optional(),
  limit: countSchema.optional(),
  cursor: z.string().max(512).optional(),
  page: countSchema.optional(),
});

/** `GET /v1/audit`: the tenant's trail. */
export const auditEndpoints = [
  endpoint({
    method: "GET",
    path: "/v1/audit",
    operationId: "queryAudit",
    tag: "Audit",
    summary: "The tenant's trail, newest first",
    access: { roles: ["auditor", "admin"] },
    query: querySchema,
    responses: { 200: eventPageSchema },
    handler: async ({ caller, query: { limit, cursor, page, ...filters }, c }) => {
      const request = given({ limit, cursor, page });
      return c.json(await c.get("services").audit.query(caller.tenantId, given(filters), request));
    },
  }),
];

/** The members that are there. */
function given<T extends object>(record: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
