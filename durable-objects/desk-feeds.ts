import type { MemberId } from "../src/base/ids.ts";
import { typeOf } from "../src/approvals/announce.ts";
import type { Case, Happening } from "../src/approvals/case.ts";
import { FEED_LASTS_MS, FEED_OVER, MOST_FEEDS, type Watching } from "../src/approvals/feed.ts";
import { renderCase } from "../src/approvals/render.ts";

const TAG = "feed";

/** Who watches a desk, over WebSockets that the platform holds while it sleeps. Nothing is taken from them. */
export class DeskFeeds {
  readonly #ctx: DurableObjectState;

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
  }

  /** One more, for `FEED_LASTS_MS`. */
  open(memberId: MemberId, now: number): Response {
    const { 0: theirs, 1: ours } = new WebSocketPair();
    const sockets = this.#sockets();
    if (sockets.length >= MOST_FEEDS) {
      const oldest = sockets.toSorted((a, b) => untilOf(a) - untilOf(b));
      for (const socket of oldest.slice(0, sockets.length - MOST_FEEDS + 1)) end(socket);
    }
    this.#ctx.acceptWebSocket(ours, [TAG]);
    const watching: Watching = { memberId, until: now + FEED_LASTS_MS };
    ours.serializeAttachment(watching);
    send(ours, { type: "feed.opened", until: new Date(watching.until).toISOString() });
    return new Response(null, { status: 101, webSocket: theirs });
  }

  tell(held: Case, happening: Happening, now: number): void {
    const sockets = this.#sockets();
    if (sockets.length === 0) return;
    const line = { type: typeOf(happening), approval: renderCase(held) };
    for (const socket of sockets) {
      if (untilOf(socket) <= now) end(socket);
      else send(socket, line);
    }
  }

  closeLate(now: number): void {
    for (const socket of this.#sockets()) if (untilOf(socket) <= now) end(socket);
  }

  nextEnd(): number | null {
    const ends = this.#sockets().map(untilOf);
    return ends.length === 0 ? null : Math.min(...ends);
  }

  #sockets(): WebSocket[] {
    return this.#ctx.getWebSockets(TAG).filter(({ readyState }) => readyState === WebSocket.OPEN);
  }
}

function untilOf(socket: WebSocket): number {
  const watching = socket.deserializeAttachment() as Watching | null;
  return watching?.until ?? 0;
}

function send(socket: WebSocket, line: object): void {
  try {
    socket.send(JSON.stringify(line));
  } catch {
    // It has gone.
  }
}

function end(socket: WebSocket): void {
  try {
    socket.close(FEED_OVER.code, FEED_OVER.reason);
  } catch {
    // It has gone.
  }
}
