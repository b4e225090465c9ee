import { createHash } from "node:crypto";
import { mkdir, realpath, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { StartError } from "./state.ts";

/**
 * Holds a state directory for this process, since two servers on one database would break each other's. A socket
 * rather than a file of the process's id: it is free again when its holder is gone, however it went.
 * @throws StartError when another process holds it
 */
export async function holdState(stateDir: string): Promise<() => Promise<void>> {
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const name = createHash("sha256")
    .update(await realpath(stateDir))
    .digest("hex")
    .slice(0, 24);
  const file = path.join(tmpdir(), `valetkey-${name}.sock`);
  let release = await listen(file);
  if (release === undefined && !(await answers(file))) {
    await rm(file, { force: true });
    release = await listen(file);
  }
  if (release === undefined) {
    throw new StartError(
      `${stateDir} is in use by a gateway that runs already; stop that one, or set VALETKEY_STATE`,
    );
  }
  return release;
}

function listen(file: string): Promise<(() => Promise<void>) | undefined> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.unref();
    server.once("error", () => resolve(undefined));
    server.listen(file, () => resolve(() => new Promise((closed) => server.close(() => closed()))));
  });
}

function answers(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(file);
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}
