import { connect, createServer, type Socket } from "node:net";

/** Every byte of both directions, by connection. */
interface Recording {
  toServer: Buffer[];
  toClient: Buffer[];
}

export interface Tee {
  /** `http://127.0.0.1:port`: what a client is given in place of the server's. */
  url: string;
  port: number;
  /** What clients received so far, as Latin-1, one text per connection, chunk framing (RFC 9112, 7.1) taken out. */
  received(): string[];
  /** What clients sent so far, likewise. */
  sent(): string[];
  /** Forgets what was recorded; connections stay. */
  forget(): void;
  close(): Promise<void>;
}

/** A wire tap: passes bytes between its port and `target` as they come and keeps a copy. */
export async function startTee(options: { port?: number; target: string }): Promise<Tee> {
  const target = new URL(options.target);
  const recordings = new Set<Recording>();
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const recording: Recording = { toServer: [], toClient: [] };
    recordings.add(recording);
    const upstream = connect({ port: Number(target.port), host: target.hostname });
    for (const [from, to, record] of [
      [client, upstream, recording.toServer],
      [upstream, client, recording.toClient],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      from.on("data", (bytes: Buffer) => record.push(bytes));
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        to.destroy();
        sockets.delete(from);
      });
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the tee does not listen on a port");
  const texts = (direction: keyof Recording): string[] =>
    [...recordings].map((recording) => unframed(Buffer.concat(recording[direction])));
  return {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    received: () => texts("toClient"),
    sent: () => texts("toServer"),
    forget() {
      for (const recording of recordings) {
        recording.toServer.length = 0;
        recording.toClient.length = 0;
      }
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Joins what chunked coding took apart, so that a text is found wherever the boundaries lie. */
function unframed(bytes: Buffer): string {
  return bytes.toString("latin1").replaceAll(/\r\n[0-9a-f]+\r\n/gi, "");
}
