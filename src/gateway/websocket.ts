import type { CutCode, OpenStream } from "./open-streams.ts";
import type { Redactor } from "./redact/redactor.ts";
import type { Passed } from "./respond.ts";

/** A message is redacted as a whole, and held as a whole. */
const MAX_MESSAGE_BYTES = 1024 * 1024;
/** RFC 6455 §7.4.1. */
const NO_STATUS = 1005;
const GOING_AWAY = 1001;
const POLICY = 1008;
const TOO_BIG = 1009;
const FAILED = 1011;
const TRY_AGAIN_LATER = 1013;

/** What both sides are told where the gateway ends their socket. */
const CUTS: Readonly<Record<CutCode, readonly [code: number, reason: string]>> = {
  REVOKED_MIDWAY: [POLICY, "the token is not valid any more"],
  TOKEN_EXPIRED: [POLICY, "the token has expired"],
  TENANT_FROZEN: [POLICY, "all calls are stopped"],
  UNAVAILABLE: [TRY_AGAIN_LATER, "the token could not be confirmed"],
  WEBSOCKET_IDLE: [GOING_AWAY, "nothing was said for too long"],
  UPSTREAM_IDLE: [GOING_AWAY, "nothing was said for too long"],
  AGENT_IDLE: [GOING_AWAY, "nothing was said for too long"],
};

/**
 * Joins an agent to the upstream's WebSocket (`far`), message by message: what the upstream says is redacted, binary or
 * text, and so is its reason to close (attack 48); what the agent says passes as it is. Messages above 1 MiB end both
 * sides. `onEnd` is told once. The answer is the agent's side of the handshake.
 *
 * A credential that is spread over several messages is not found, as it is not over several events of a stream.
 */
export function bridge(
  far: WebSocket,
  handshake: Headers,
  context: {
    readonly redactor: Redactor;
    readonly waitUntil: (promise: Promise<unknown>) => void;
    readonly stream: OpenStream;
    /** Bytes of a message from the agent. */
    readonly onSent: (bytes: number) => void;
    /** Bytes of the messages passed to the agent; error: neither side closed, or a message was refused. */
    readonly onEnd: (passed: Passed) => void;
  },
): Response {
  const { redactor, waitUntil, stream, onSent, onEnd } = context;
  const pair = new WebSocketPair();
  const [handed, agent] = [pair[0], pair[1]];
  const ended = Promise.withResolvers<void>();
  waitUntil(ended.promise);
  let bytes = 0;
  let isOver = false;
  const end = (broken: boolean): void => {
    if (isOver) return;
    isOver = true;
    onEnd({ bytes, error: stream.end() ?? (broken ? "BROKEN_OFF" : null) });
    ended.resolve();
  };
  const fail = (code: number, reason: string): void => {
    close(agent, code, reason);
    close(far, code === FAILED ? GOING_AWAY : code, reason);
    end(true);
  };
  stream.onCut(({ code }) => fail(...CUTS[code]));
  for (const socket of [agent, far]) {
    socket.binaryType = "arraybuffer";
    socket.accept();
    socket.addEventListener("error", () => fail(FAILED, "the connection broke off"));
  }
  const pass = (to: WebSocket, data: unknown, redact: (data: string | Uint8Array) => string | Uint8Array) => {
    if (isOver) return;
    stream.moved(to === agent ? "agent" : "upstream");
    const message = typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer);
    if (sizeOf(message) > MAX_MESSAGE_BYTES) return fail(TOO_BIG, "messages have at most 1 MiB");
    const passed = redact(message);
    if (to === agent) bytes += sizeOf(passed);
    else onSent(sizeOf(passed));
    try {
      to.send(passed);
    } catch {
      fail(FAILED, "the connection broke off");
    }
  };
  far.addEventListener("message", ({ data }) =>
    pass(agent, data, (said) => (typeof said === "string" ? redactor.text(said) : redactor.whole(said))),
  );
  agent.addEventListener("message", ({ data }) => pass(far, data, (said) => said));
  far.addEventListener("close", ({ code, reason, wasClean }) => {
    close(agent, wasClean ? code : FAILED, redactor.text(reason));
    close(far, code, reason);
    end(!wasClean);
  });
  agent.addEventListener("close", ({ code, reason, wasClean }) => {
    close(far, wasClean ? code : GOING_AWAY, reason);
    close(agent, code, reason);
    end(!wasClean);
  });
  return new Response(null, { status: 101, webSocket: handed, headers: agreed(handshake, redactor) });
}

/** The subprotocol that was agreed on; the rest of the handshake belongs to each side. */
function agreed(handshake: Headers, redactor: Redactor): Headers {
  const headers = new Headers();
  const protocol = handshake.get("sec-websocket-protocol");
  if (protocol !== null && redactor.text(protocol) === protocol)
    headers.set("sec-websocket-protocol", protocol);
  return headers;
}

/** Closes with what the other side closed with, as far as that may be said in a frame. Closing twice is no fault. */
function close(socket: WebSocket, code: number, reason: string): void {
  const isSayable =
    (code >= 1000 && code <= 1014 && code !== 1004 && code !== NO_STATUS && code !== 1006) || code >= 3000;
  try {
    if (isSayable) socket.close(code, reason);
    else socket.close();
  } catch {
    // It is closed already.
  }
}

function sizeOf(message: string | Uint8Array): number {
  return typeof message === "string" ? Buffer.byteLength(message, "utf8") : message.byteLength;
}
