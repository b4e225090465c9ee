import { canonicalJson } from "./canonical-json.ts";
import { eventHash, genesis } from "./chain.ts";
import type { StoredEvent } from "./event.ts";
import type { Block, Head } from "./ledger.ts";

export interface VerifyOptions {
  readonly tenantId: string;
  /** The head that the first block follows; the tenant's genesis if left out. */
  readonly after?: Head;
  /** A head known from elsewhere. Without it, blocks missing at the end cannot be noticed. */
  readonly head?: Head;
}

export type Verdict =
  | { readonly ok: true; readonly count: number; readonly head: Head }
  | { readonly ok: false; readonly at: number; readonly why: string };

/**
 * Checks exported blocks, in ascending order, against the chain: nothing changed, added, removed, reordered or, where
 * a head is known, cut off. Offline: needs nothing but the export. `at` is the seq where the chain first fails.
 */
export function verifyBlocks(blocks: Iterable<Block>, options: VerifyOptions): Verdict {
  const start = options.after ?? genesis(options.tenantId);
  let head = start;
  for (const block of blocks) {
    const verdict = verifyBlock(block, head);
    if (!verdict.ok) return verdict;
    head = verdict.head;
  }
  const known = options.head;
  if (known !== undefined && known.seq > head.seq) {
    return failure(head.seq + 1, `the export ends before the known head, ${known.seq}`);
  }
  if (known !== undefined && (known.seq !== head.seq || known.hash !== head.hash)) {
    return failure(known.seq, "the export does not end with the known head");
  }
  return { ok: true, count: head.seq - start.seq, head };
}

function verifyBlock(block: Block, before: Head): Verdict {
  if (block.first_seq !== before.seq + 1) {
    return failure(before.seq + 1, `a block that begins with ${block.first_seq} follows ${before.seq}`);
  }
  if (block.prev_hash !== before.hash)
    return failure(block.first_seq, "the block does not follow its predecessor's hash");
  const events = parseEvents(block.events);
  if (events === undefined) return failure(block.first_seq, "the block is not an array of events");

  let { seq, hash } = before;
  let firstTime = Number.POSITIVE_INFINITY;
  let lastTime = Number.NEGATIVE_INFINITY;
  for (const { hash: claimed, ...event } of events) {
    if (event.seq !== seq + 1)
      return failure(seq + 1, `the event after ${seq} says it is ${String(event.seq)}`);
    hash = eventHash(hash, event);
    if (claimed !== hash) return failure(event.seq, "the event does not have the hash it was stored with");
    seq = event.seq;
    const time = Date.parse(event.timestamp);
    firstTime = Math.min(firstTime, time);
    lastTime = Math.max(lastTime, time);
  }
  // Readers disagree on duplicate members; only one spelling of an event counts.
  if (block.events !== canonicalJson(events))
    return failure(block.first_seq, "the block is not canonical JSON");
  if (block.last_seq !== seq || block.hash !== hash)
    return failure(seq, "the block does not end with its last event");
  if (block.first_time !== firstTime || block.last_time !== lastTime) {
    return failure(block.first_seq, "the block's times are not those of its events");
  }
  return { ok: true, count: events.length, head: { seq, hash } };
}

/** The events of a block as they claim to be: their shape is what the hashes are there to prove. */
function parseEvents(text: string): StoredEvent[] | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parsed) || parsed.length === 0) return undefined;
  return parsed.every((event) => typeof event === "object" && event !== null && !Array.isArray(event))
    ? parsed
    : undefined;
}

function failure(at: number, why: string): Verdict {
  return { ok: false, at, why };
}
