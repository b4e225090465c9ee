import { z } from "zod";
import type { Api } from "../api/context.ts";
import { systemClock } from "../base/clock.ts";
import { declareFor } from "../base/endpoint.ts";
import { acceptedExportMedia, EXPORT_MEDIA } from "../base/export-format.ts";
import { exportHeaders, type ExportRow, exportStream } from "../base/export-stream.ts";
import { type AuditEvent, EVENT_TYPES, RESOURCE_TYPES, type StoredEvent } from "./event.ts";
import { AUDIT_COLUMNS, beginExport } from "./export.ts";
import type { BlockRange } from "./ledger.ts";
import { eventPageSchema } from "./responses.ts";

const endpoint = declareFor<Api>();

const TIME = 'must be a time such as "2026-01-31T12:00:00Z"';

const timeSchema = z.iso.datetime({ offset: true, error: TIME }).transform((text) => Date.parse(text));

const countSchema = z
  .string()
  .regex(/^[1-9][0-9]{0,8}$/, "must be a whole number from 1")
  .transform(Number);

const filters = {
  event_type: z.enum(EVENT_TYPES).optional(),
  resource_type: z.enum(RESOURCE_TYPES).optional(),
  actor: z.string().min(1).max(256).optional(),
  start_time: timeSchema.optional(),
  end_time: timeSchema.optional(),
};

const querySchema = z.strictObject({
  ...filters,
  limit: countSchema.optional(),
  cursor: z.string().max(512).optional(),
  page: countSchema.optional(),
});

/** `/v1/audit`: the tenant's trail. */
export const auditEndpoints = [
  endpoint({
    method: "GET",
    path: "/v1/audit",
    operationId: "queryAudit",
    tag: "Audit",
    summary: "The tenant's trail, newest first",
    access: { roles: ["auditor", "admin"] },
    trail: true,
    query: querySchema,
    responses: { 200: eventPageSchema },
    handler: async ({ caller, query: { limit, cursor, page, ...filters }, c }) => {
      const request = given({ limit, cursor, page });
      return c.json(await c.get("services").audit.query(caller.tenantId, given(filters), request));
    },
  }),

  endpoint({
    method: "GET",
    path: "/v1/audit/export",
    operationId: "exportAudit",
    tag: "Audit",
    summary: "The tenant's trail as a file, oldest first",
    description:
      "The form is what `Accept` likes best: `application/x-ndjson` (also if nothing is said), `application/json` or `text/csv`. No CSV cell is taken for a formula. Recorded as `audit.exported` before the first byte.",
    access: { roles: ["auditor", "admin"] },
    trail: true,
    query: z.strictObject(filters),
    responses: {
      200: { media: Object.fromEntries(Object.keys(EXPORT_MEDIA).map((media) => [media, null])) },
    },
    errors: ["NOT_ACCEPTABLE"],
    handler: async ({ caller, query, c }) => {
      const media = acceptedExportMedia(c.req.raw.headers.get("accept"));
      const { audit } = c.get("services");
      const { tenantId } = caller;
      const ledger = {
        head: () => audit.head(tenantId),
        blocks: (range: BlockRange) => audit.blocks(tenantId, range),
        record: (event: AuditEvent) => audit.record(tenantId, [event]),
      };
      const pages = await beginExport(ledger, caller, given(query), media, systemClock());
      return new Response(exportStream(media, AUDIT_COLUMNS, toRows(pages)), {
        headers: exportHeaders(media, `audit-${tenantId}`),
      });
    },
  }),
];

async function* toRows(pages: AsyncIterable<readonly StoredEvent[]>): AsyncGenerator<readonly ExportRow[]> {
  for await (const events of pages) yield events.map((event) => ({ ...event }));
}

/** The members that are there. */
function given<T extends object>(record: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
