import { env } from "cloudflare:workers";
import { AuditLog } from "../../../src/audit/audit.ts";
import type { AuditEvent, StoredEvent } from "../../../src/audit/event.ts";
import type { Block } from "../../../src/audit/ledger.ts";
import { newId } from "../../../src/base/ids.ts";

export const { AUDIT_LEDGER } = env as unknown as Env;
export const log = new AuditLog(AUDIT_LEDGER);

export function ledgerOf(tenantId: string) {
  return AUDIT_LEDGER.get(AUDIT_LEDGER.idFromName(tenantId));
}

/** A denied or successful call as the gateway would hand it in. */
export function event(over: Partial<AuditEvent> = {}): AuditEvent {
  return {
    id: newId("event"),
    event_type: "connection.called",
    resource_type: "connection",
    resource: "stripe",
    actor: "agent:agt_000000000000000000000001",
    ip_address: "192.0.2.7",
    user_agent: "stripe-node/23.1.0",
    outcome: "success",
    timestamp: new Date().toISOString(),
    context: { token_id: "tok_000000000000000000000001", method: "GET", path: "/v1/charges" },
    ...over,
  };
}

export function events(count: number, over: Partial<AuditEvent> = {}): AuditEvent[] {
  return Array.from({ length: count }, () => event(over));
}

/** A whole ledger, oldest block first. */
export async function exportBlocks(tenantId: string): Promise<Block[]> {
  const all: Block[] = [];
  let from: number | null = 1;
  while (from !== null) {
    const { blocks, resume } = await log.blocks(tenantId, { from, maxBlocks: 100 });
    all.push(...blocks);
    from = resume;
  }
  return all;
}

export function eventsOf(blocks: readonly Block[]): StoredEvent[] {
  return blocks.flatMap((block): StoredEvent[] => JSON.parse(block.events));
}

/** Adds many rows at once, for what only a large ledger shows. Their ids are `filler.{seq}`; their hashes are none. */
export function fillLedger(
  storage: DurableObjectStorage,
  { rows, idsPerRow, time }: { rows: number; idsPerRow: number; time: number },
): void {
  const [head] = storage.sql.exec<{ last_seq: number; hash: string }>(
    "SELECT last_seq, hash FROM blocks ORDER BY first_seq DESC LIMIT 1",
  );
  let seq = head?.last_seq ?? 0;
  storage.transactionSync(() => {
    for (let row = 0; row < rows; row += 1) {
      const ids = Array.from({ length: idsPerRow }, (_, index) => `filler.${seq + index + 1}`);
      storage.sql.exec(
        "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, '[]')",
        seq + 1,
        seq + idsPerRow,
        time,
        time,
        time,
        head?.hash ?? "",
        head?.hash ?? "",
        ids.join("\n"),
      );
      seq += idsPerRow;
    }
  });
}
