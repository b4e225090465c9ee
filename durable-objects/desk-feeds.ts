import type { MemberId } from "../src/base/ids.ts";
import { within } from "../src/base/within.ts";
import { typeOf } from "../src/approvals/announce.ts";
import type { Case, Happening } from "../src/approvals/case.ts";
import {
  FEED_LASTS_MS,
  FEED_LOST,
  FEED_OVER,
  type FeedEnd,
  MOST_FEEDS,
  type Watching,
} from "../src/approvals/feed.ts";
import { renderCase } from "../src/approvals/render.ts";

const TAG = "feed";
const LOOKS_WITHIN_MS = 5_000;

/** Of these members, who may watch right now. */
type WhoMayWatch = (members: readonly MemberId[]) => Promise<ReadonlySet<MemberId>>;

/**
 * Who watches a desk, over WebSockets that the platform holds while it sleeps. Nothing is taken from them, and nothing is
 * told to somebody who may not watch any more: that is asked before anything is told (attack 79).
 */
export class DeskFeeds {
  readonly #ctx: DurableObjectState;
  readonly #whoMayWatch: WhoMayWatch;
  /** What is to be told, in order. */
  #lines: string[] = [];
  #telling: Promise<void> | null = null;

  constructor(ctx: DurableObjectState, whoMayWatch: WhoMayWatch) {
    this.#ctx = ctx;
    this.#whoMayWatch = whoMayWatch;
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
  }

  /** One more, for `FEED_LASTS_MS`. */
  open(memberId: MemberId, now: number): Response {
    const { 0: theirs, 1: ours } = new WebSocketPair();
    const sockets = this.#sockets();
    if (sockets.length >= MOST_FEEDS) {
      const oldest = sockets.toSorted((a, b) => untilOf(a) - untilOf(b));
      for (const socket of oldest.slice(0, sockets.length - MOST_FEEDS + 1)) end(socket, FEED_OVER);
    }
    this.#ctx.acceptWebSocket(ours, [TAG]);
    const watching: Watching = { memberId, until: now + FEED_LASTS_MS };
    ours.serializeAttachment(watching);
    send(ours, JSON.stringify({ type: "feed.opened", until: new Date(watching.until).toISOString() }));
    return new Response(null, { status: 101, webSocket: theirs });
  }

  /** Tells it soon, to who may know it then. Never throws. */
  tell(held: Case, happened: readonly Happening[]): Promise<void> {
    if (happened.length === 0 || this.#sockets().length === 0) return Promise.resolve();
    const approval = renderCase(held);
    for (const happening of happened) {
      this.#lines.push(JSON.stringify({ type: typeOf(happening), approval }));
    }
    this.#telling ??= this.#tell();
    return this.#telling;
  }

  closeLate(now: number): void {
    for (const socket of this.#sockets()) if (untilOf(socket) <= now) end(socket, FEED_OVER);
  }

  nextEnd(): number | null {
    const ends = this.#sockets().map(untilOf);
    return ends.length === 0 ? null : Math.min(...ends);
  }

  async #tell(): Promise<void> {
    while (this.#lines.length > 0) {
      // Whoever comes while this is asked knows of these lines by the list.
      const sockets = this.#sockets();
      const lines = this.#lines.splice(0);
      const mayWatch = await this.#look(sockets);
      const now = Date.now();
      for (const socket of sockets) {
        if (mayWatch === null || untilOf(socket) <= now) end(socket, FEED_OVER);
        else if (!mayWatch.has(memberOf(socket))) end(socket, FEED_LOST);
        else for (const line of lines) send(socket, line);
      }
    }
    // In the turn that has found nothing left: what comes next begins anew.
    this.#telling = null;
  }

  /** Null where that cannot be told now: then nobody is told anything. */
  async #look(sockets: readonly WebSocket[]): Promise<ReadonlySet<MemberId> | null> {
    try {
      return await within(LOOKS_WITHIN_MS, this.#whoMayWatch([...new Set(sockets.map(memberOf))]));
    } catch {
      return null;
    }
  }

  #sockets(): WebSocket[] {
    return this.#ctx.getWebSockets(TAG).filter(({ readyState }) => readyState === WebSocket.OPEN);
  }
}

function watchingOf(socket: WebSocket): Watching {
  return socket.deserializeAttachment() as Watching;
}

function memberOf(socket: WebSocket): MemberId {
  return watchingOf(socket).memberId;
}

function untilOf(socket: WebSocket): number {
  return watchingOf(socket).until;
}

function send(socket: WebSocket, line: string): void {
  try {
    socket.send(line);
  } catch {
    // It has gone.
  }
}

function end(socket: WebSocket, { code, reason }: FeedEnd): void {
  try {
    socket.close(code, reason);
  } catch {
    // It has gone.
  }
}
