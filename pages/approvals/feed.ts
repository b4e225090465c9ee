import type { Approval } from "./api.ts";
import { live } from "./elements.ts";

/** What comes over `/v1/approvals/feed`. */
interface Line {
  readonly type: string;
  readonly approval?: Approval;
}

const POLL_MS = 5_000;
const PING_MS = 30_000;
const AGAIN_MS = [1_000, 5_000, 15_000, 60_000] as const;
/** Why a feed ends that is to be opened again at once. */
const TIME_IS_UP = 4001;

/**
 * Keeps a page current: by the feed where it is open, else by `refresh` every 5 seconds while somebody can see the page.
 * After each opening `refresh` has what happened in between. What `refresh` throws is its own matter.
 */
export function watch(told: (approval: Approval) => void, refresh: () => Promise<void>): void {
  let socket: WebSocket | null = null;
  let failures = 0;
  let answered = true;

  const open = (): void => {
    socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/v1/approvals/feed`);
    socket.addEventListener("message", ({ data }) => {
      answered = true;
      if (typeof data !== "string" || data === "pong") return;
      const { type, approval } = JSON.parse(data) as Line;
      if (type === "feed.opened") {
        failures = 0;
        announce(true);
        void refresh();
      } else if (approval !== undefined) told(approval);
    });
    socket.addEventListener("close", ({ code }) => {
      socket = null;
      announce(false);
      const wait = code === TIME_IS_UP ? 0 : (AGAIN_MS[Math.min(failures, AGAIN_MS.length - 1)] ?? 0);
      failures++;
      setTimeout(open, wait);
    });
  };

  setInterval(() => {
    if (live.dataset["kind"] !== "open" && document.visibilityState === "visible") void refresh();
  }, POLL_MS);
  // A connection that broke without a word is found out: what is asked is answered.
  setInterval(() => {
    if (socket?.readyState !== WebSocket.OPEN) return;
    if (!answered) socket.close();
    else socket.send("ping");
    answered = false;
  }, PING_MS);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") void refresh();
  });
  open();
}

function announce(isOpen: boolean): void {
  live.dataset["kind"] = isOpen ? "open" : "polling";
  live.textContent = isOpen ? "Live" : "Looks every 5 seconds";
}
