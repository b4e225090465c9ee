import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startUpstream } from "../../local/upstream.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { sendRaw } from "../support/raw.ts";

const entry = path.join(import.meta.dirname, "echo-worker.mjs");
let gateway: Gateway;

beforeAll(async () => {
  gateway = await startGateway({ entry, hosts: ["demo"] });
});
afterAll(() => gateway.stop());

const get = async (target: string) => (await fetch(`${gateway.url}${target}`)).text();

test("attack 59: a client's address is its socket's, whatever its headers say", async () => {
  const spoofed = JSON.stringify({ clientIp: "203.0.113.9" });
  const answer = await sendRaw({
    port: gateway.ports[0] ?? 0,
    localAddress: "127.0.0.77",
    bytes:
      `GET / HTTP/1.1\r\nHost: a\r\nMF-CF-Blob: ${spoofed}\r\nCF-Blob: ${spoofed}\r\ncf: ${spoofed}\r\n` +
      "CF-Connecting-IP: 203.0.113.9\r\nX-Forwarded-For: 203.0.113.9\r\nTrue-Client-IP: 203.0.113.9\r\n\r\n",
  });
  expect(answer.status).toBe(200);
  expect(JSON.parse(answer.text).cf).toEqual({ clientIp: expect.stringMatching(/^127\.0\.0\.77:\d+$/) });
});

test("what was acknowledged before a kill -9 is there after the restart, in objects and in the database", async () => {
  for (let round = 1; round <= 3; round += 1) {
    await get(`/keep?value=${round}`);
    await gateway.kill();
    await expect(get("/kept")).rejects.toThrow();
    await gateway.restart();
    expect(JSON.parse(await get("/kept"))).toEqual({ object: round, database: round });
  }
});

test("each port leads to the worker, and HOSTS tells which connection a port belongs to", async () => {
  const own = gateway.hosts["demo"] ?? "";
  const answer = await (await fetch(own)).json();
  expect(answer).toMatchObject({ environment: "development", hosts: `${new URL(own).host}=demo` });
});

test("a worker reaches an upstream on this machine directly, with nothing added", async () => {
  const upstream = await startUpstream({ port: 0 });
  try {
    expect(
      JSON.parse(await get(`/fetch?url=${encodeURIComponent(`${upstream.url}/x?name=w`)}`)),
    ).toMatchObject({
      message: "hello, w",
    });
    expect(upstream.requests[0]?.rawHeaders).toEqual(["Host", `127.0.0.1:${upstream.port}`]);
  } finally {
    await upstream.close();
  }
});

test("no file of the state directory but keys.json holds a key", async () => {
  const keys: Record<string, string> = JSON.parse(
    await readFile(path.join(gateway.stateDir, "keys.json"), "utf8"),
  );
  for (const file of ["config.capnp", "image.json"]) {
    const text = await readFile(path.join(gateway.stateDir, "build", file), "utf8");
    for (const value of Object.values(keys)) expect(text).not.toContain(value);
  }
});

test("workerd ends with its parent, even with one that is killed", async () => {
  const stateDir = await mkdtemp(path.join(tmpdir(), "valetkey-orphan-"));
  const local = path.join(import.meta.dirname, "../../local");
  const script = path.join(stateDir, "parent.ts");
  await writeFile(
    script,
    `import { serve } from "${local}/workerd.ts"; import { freePorts } from "${local}/ports.ts";
     const served = await serve({ stateDir: ${JSON.stringify(stateDir)}, entry: ${JSON.stringify(entry)},
       ports: await freePorts(1), bindings: {}, quiet: true });
     console.log(served.pid);`,
  );
  const parent = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
  const pid = await new Promise<number>((resolve, reject) => {
    parent.stdout.once("data", (data: Buffer) => resolve(Number(data.toString())));
    parent.once("exit", () => reject(new Error("the parent ended early")));
  });
  expect(isRunning(pid)).toBe(true);
  parent.kill("SIGKILL");
  await expect.poll(() => isRunning(pid), { timeout: 10_000 }).toBe(false);
  await rm(stateDir, { recursive: true, force: true });
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
