import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isFree } from "../local/ports.ts";
import { type Running, startProgram } from "./process.ts";

const PLACES = [
  "/usr/sbin/nginx",
  "/usr/local/sbin/nginx",
  "/usr/local/bin/nginx",
  "/opt/homebrew/bin/nginx",
];

/** The program's path, where it is installed. */
export const nginxProgram = (): string | undefined => PLACES.find((place) => existsSync(place));

export interface NginxOptions {
  /** Its files (config, pid, buffers) go here. */
  dir: string;
  port: number;
  /** Within `http`, beside the server: upstreams. */
  upstreams?: string;
  /** Within `server`: locations. */
  server: string;
}

/** One nginx on 127.0.0.1, one process in all (so that its CPU time is the worker's), nothing logged. */
export async function startNginx(program: string, options: NginxOptions): Promise<Running> {
  const { dir, port } = options;
  await mkdir(dir, { recursive: true });
  const buffers = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${path.join(dir, name)};`,
  );
  const file = path.join(dir, "nginx.conf");
  const config = `daemon off;
master_process off;
worker_processes 1;
pid ${path.join(dir, "nginx.pid")};
error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  tcp_nodelay on;
  ${buffers.join("\n  ")}
  ${options.upstreams ?? ""}
  server {
    listen 127.0.0.1:${port};
    ${options.server}
  }
}
`;
  await writeFile(file, config, { mode: 0o600 });
  const running = await startProgram(program, ["-p", dir, "-e", "stderr", "-c", file]);
  for (let waited = 0; await isFree(port); waited += 20) {
    if (waited > 5_000) {
      await running.stop();
      throw new Error("nginx did not listen within 5 s");
    }
    await sleep(20);
  }
  return running;
}
