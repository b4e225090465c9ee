import { createServer } from "node:net";

/** Whether a server could listen on 127.0.0.1:port now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * `count` different ports that are free now, from 20000 to 31999: below the ports the kernel lends to outgoing
 * connections, so that a server that stops can come back to its own.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  for (let tries = 0; ports.size < count; tries += 1) {
    if (tries > 1_000) throw new Error("no free port between 20000 and 31999");
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (await isFree(port)) ports.add(port);
  }
  return [...ports];
}
