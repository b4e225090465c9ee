import { Hono } from "hono";
import { z } from "zod";
import type { ApiEnv } from "../api/context.ts";
import { readQuery } from "../base/query.ts";
import { EVENT_TYPES, RESOURCE_TYPES } from "./event.ts";

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

/** `GET /v1/audit`: the tenant's trail, newest first. */
export function auditRoutes(): Hono<ApiEnv> {
  return new Hono<ApiEnv>().get("/", async (c) => {
    const caller = await c.get("auth").member("auditor", "admin");
    const { limit, cursor, page, ...filters } = readQuery(c.req.raw, querySchema);
    const request = given({ limit, cursor, page });
    return c.json(await c.get("services").audit.query(caller.tenantId, given(filters), request));
  });
}

/** The members that are there. */
function given<T extends object>(record: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
