import { sha256Hex } from "../base/digest.ts";
import { canonicalJson } from "./canonical-json.ts";
import type { AuditEvent } from "./event.ts";
import type { Block, Head } from "./ledger.ts";

/** A row stays under this many bytes of events (the platform's limit is 2 MB a row). */
const MAX_BLOCK_BYTES = 1_000_000;
const MAX_BLOCK_EVENTS = 1_000;

/** Where a tenant's chain begins; a chain moved to another tenant does not verify. */
export function genesis(tenantId: string): Head {
  return { seq: 0, hash: sha256Hex(`valetkey audit ledger v1\n${tenantId}`) };
}

/** The hash of an event: over its predecessor's hash (64 hex digits) and its canonical JSON, `seq` included. */
export function eventHash(previousHash: string, event: AuditEvent & { readonly seq: number }): string {
  return sha256Hex(previousHash + canonicalJson(event));
}

/**
 * The canonical JSON of the stored event from that of the event without its hash, which would cost as much again to
 * make: `hash` sorts between `event_type` and `id`, and after the event's own `id` come only numbers and strings, in
 * which no quote stands unescaped.
 */
function withHash(unhashed: string, hash: string): string {
  const at = unhashed.lastIndexOf(',"id":');
  return `${unhashed.slice(0, at)},"hash":"${hash}"${unhashed.slice(at)}`;
}

/** A block and the ids of its events, in order. */
export interface SealedBlock extends Block {
  readonly ids: readonly string[];
}

/** Appends events to a chain: as few blocks as their bounds allow, oldest first. Pure. */
export function sealBlocks(head: Head, events: readonly AuditEvent[]): SealedBlock[] {
  const blocks: SealedBlock[] = [];
  let { seq, hash } = head;
  let open = openBlock(hash);
  for (const event of events) {
    const unhashed = canonicalJson({ ...event, seq: seq + 1 });
    hash = sha256Hex(hash + unhashed);
    const text = withHash(unhashed, hash);
    const bytes = Buffer.byteLength(text) + 1;
    if (open.texts.length >= MAX_BLOCK_EVENTS || open.bytes + bytes > MAX_BLOCK_BYTES) {
      blocks.push(closeBlock(open, seq));
      open = openBlock(open.hash);
    }
    seq += 1;
    const time = Date.parse(event.timestamp);
    open.texts.push(text);
    open.ids.push(event.id);
    open.bytes += bytes;
    open.firstTime = Math.min(open.firstTime, time);
    open.lastTime = Math.max(open.lastTime, time);
    open.hash = hash;
  }
  if (open.texts.length > 0) blocks.push(closeBlock(open, seq));
  return blocks;
}

interface OpenBlock {
  readonly texts: string[];
  readonly ids: string[];
  readonly prevHash: string;
  hash: string;
  bytes: number;
  firstTime: number;
  lastTime: number;
}

function openBlock(prevHash: string): OpenBlock {
  return {
    texts: [],
    ids: [],
    prevHash,
    hash: prevHash,
    bytes: 2,
    firstTime: Number.POSITIVE_INFINITY,
    lastTime: Number.NEGATIVE_INFINITY,
  };
}

function closeBlock(open: OpenBlock, lastSeq: number): SealedBlock {
  return {
    first_seq: lastSeq - open.texts.length + 1,
    last_seq: lastSeq,
    first_time: open.firstTime,
    last_time: open.lastTime,
    prev_hash: open.prevHash,
    hash: open.hash,
    events: `[${open.texts.join(",")}]`,
    ids: open.ids,
  };
}
