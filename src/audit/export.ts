import type { ExportMedia } from "../base/export-format.ts";
import { EXPORT_MEDIA } from "../base/export-format.ts";
import { newId, type TenantId } from "../base/ids.ts";
import type { RequestInfo } from "../base/request.ts";
import type { AuditEvent, StoredEvent } from "./event.ts";
import type { Head } from "./ledger.ts";
import { type AuditFilters, type BlockSource, matcher, timesOf } from "./query.ts";

/** CSV's: what an event has, its free-form context as JSON in one cell. */
export const AUDIT_COLUMNS = [
  "seq",
  "timestamp",
  "event_type",
  "resource_type",
  "resource",
  "actor",
  "outcome",
  "ip_address",
  "user_agent",
  "context",
  "id",
  "hash",
] as const satisfies readonly (keyof StoredEvent)[];

/** What is in memory at a time: some blocks as the ledger hands them over, of which one is taken apart. */
const BLOCKS_PER_READ = 16;

/** A tenant's ledger, as far as an export needs it. */
export interface ExportedLedger extends BlockSource {
  head(): Promise<Head>;
  /** Throws UNAVAILABLE where that fails. */
  record(event: AuditEvent): Promise<void>;
}

export interface Exporter {
  readonly tenantId: TenantId;
  readonly actor: string;
  readonly request: RequestInfo;
}

/**
 * Everything that matches, oldest first, up to the ledger's end of now. Counted first and recorded as `audit.exported`
 * with its filters and that count: nothing goes out before the ledger has it (attack 84). Rows never change, so what
 * was counted is what is read.
 */
export async function beginExport(
  ledger: ExportedLedger,
  exporter: Exporter,
  filters: AuditFilters,
  media: ExportMedia,
  now: number,
): Promise<AsyncIterable<readonly StoredEvent[]>> {
  const end = await ledger.head();
  let count = 0;
  for await (const events of matching(ledger, filters, end.seq)) count += events.length;
  const { start_time, end_time, ...named } = filters;
  const { requestId, ip, userAgent } = exporter.request;
  await ledger.record({
    id: newId("event"),
    event_type: "audit.exported",
    resource_type: "audit",
    resource: exporter.tenantId,
    actor: exporter.actor,
    ip_address: ip,
    user_agent: userAgent,
    outcome: "success",
    timestamp: new Date(now).toISOString(),
    context: {
      request_id: requestId,
      format: EXPORT_MEDIA[media],
      count,
      up_to_seq: end.seq,
      filters: {
        ...named,
        ...(start_time === undefined ? {} : { start_time: new Date(start_time).toISOString() }),
        ...(end_time === undefined ? {} : { end_time: new Date(end_time).toISOString() }),
      },
    },
  });
  return matching(ledger, filters, end.seq);
}

/** The events that match, oldest first, up to and including `lastSeq`; a block's at a time. */
async function* matching(
  source: BlockSource,
  filters: AuditFilters,
  lastSeq: number,
): AsyncGenerator<readonly StoredEvent[]> {
  const matches = matcher(filters);
  const times = timesOf(filters);
  let from: number | null = 1;
  while (from !== null && from <= lastSeq) {
    const page = await source.blocks({ from, maxBlocks: BLOCKS_PER_READ, times });
    for (const block of page.blocks) {
      const events = JSON.parse(block.events) as StoredEvent[];
      const found = events.filter((event) => event.seq <= lastSeq && matches(event));
      if (found.length > 0) yield found;
    }
    from = page.resume;
  }
}
