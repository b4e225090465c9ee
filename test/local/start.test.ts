import { execFile, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePorts, isFree } from "../../local/ports.ts";

const start = path.join(import.meta.dirname, "../../local/start.ts");
let stateDir: string;
let port: number;

beforeAll(async () => {
  stateDir = await mkdtemp(path.join(tmpdir(), "valetkey-start-"));
  port = await mainPort();
});
afterAll(() => rm(stateDir, { recursive: true, force: true }));

/** One whose two neighbours of the demo are free as well. */
async function mainPort(): Promise<number> {
  for (;;) {
    const [candidate = 0] = await freePorts(1);
    if ((await isFree(candidate + 1)) && (await isFree(candidate + 1000))) return candidate;
  }
}

interface Run {
  code: number | null;
  out: string;
  err: string;
}

/** Runs start.ts to its end; `onOutput` may end it earlier. */
function run(
  args: string[],
  env: Record<string, string>,
  onOutput?: (out: string, kill: () => void) => void,
) {
  return new Promise<Run>((resolve) => {
    const child = spawn(process.execPath, [start, ...args], {
      env: {
        ...process.env,
        VALETKEY_STATE: stateDir,
        PORT: String(port),
        NO_COLOR: "1",
        FORCE_COLOR: undefined,
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let out = "";
    let err = "";
    child.stdout.on("data", (data: Buffer) => {
      out += data.toString();
      onOutput?.(out, () => child.kill("SIGINT"));
    });
    child.stderr.on("data", (data: Buffer) => {
      err += data.toString();
    });
    child.once("close", (code) => resolve({ code, out, err }));
  });
}

/** Processes that have a state directory in their command line. */
async function leftRunning(): Promise<string[]> {
  const { stdout } = await promisify(execFile)("ps", ["-A", "-o", "args"]);
  return stdout.split("\n").filter((line) => line.includes(stateDir));
}

test("a first start shows the scoped token going in and the credential arriving, and leaves nothing running", async () => {
  const { code, out, err } = await run(["--once"], {});
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const [agent, upstream] = [
    /Authorization: Bearer (\S+)/.exec(out)?.[1],
    /Bearer (demo-key\S+)/.exec(out)?.[1],
  ];
  expect(agent).toMatch(/^vkt_\w+…\w+$/);
  expect(upstream).toMatch(/^demo-key-\w+…\w+$/);
  expect(out).toContain("GET /proxy/demo/v1/hello?name=world");
  expect(out).toContain("GET /v1/hello?name=world");
  expect(out).toContain("hello, world");
  for (const event of ["secret.created", "connection.created", "token.issued", "connection.called"]) {
    expect(out).toContain(event);
  }
  expect(await leftRunning()).toEqual([]);
  expect(await isFree(port)).toBe(true);
});

test("what it shows and prints holds no credential whole, and the files with keys are for their owner only", async () => {
  const { out } = await run(["--once"], {});
  expect(out).not.toMatch(/demo-key-[0-9a-f]{32}/);
  expect(out).not.toMatch(/vk[ab]_/);
  for (const file of ["keys.json", "dev.json"]) {
    expect((await stat(path.join(stateDir, file))).mode & 0o777).toBe(0o600);
  }
  expect((await readdir(stateDir)).sort()).toEqual(["build", "d1", "dev.json", "do", "keys.json"]);
});

test("a later start keeps keys, connection, agent and trail", async () => {
  const read = (file: string) => readFile(path.join(stateDir, file), "utf8");
  const [keys, dev] = [await read("keys.json"), await read("dev.json")];
  const { code, out } = await run(["--once"], {});
  expect(code).toBe(0);
  expect(out).toContain("connection.called");
  expect(out).not.toContain("created");
  expect([await read("keys.json"), await read("dev.json")]).toEqual([keys, dev]);
});

test("a later start on another port, with another upstream, moves the connection there", async () => {
  const other = await mainPort();
  const { code, out } = await run(["--once"], { PORT: String(other) });
  expect(code).toBe(0);
  expect(out).toContain(`http://127.0.0.1:${other + 1000}`);
  expect(out).toContain("connection.updated");
  expect(JSON.parse(await readFile(path.join(stateDir, "dev.json"), "utf8")).url).toBe(
    `http://127.0.0.1:${other}`,
  );
});

test("without --once it stays up, tells commands that work, and ends with Ctrl-C", async () => {
  let dashed: Promise<Response> | undefined;
  const { code, out } = await run([], {}, (text, kill) => {
    if (!text.includes("Ctrl-C") || dashed !== undefined) return;
    const token = /TOKEN=(vkt_\w+)/.exec(text)?.[1];
    const url = /curl -s "(\S+)\/v1\/hello"/.exec(text)?.[1];
    dashed = fetch(`${url}/v1/hello?name=host`, { headers: { authorization: `Bearer ${token}` } });
    void dashed.finally(kill);
  });
  expect(code).toBe(0);
  expect(await (await dashed)?.text()).toContain("hello, host");
  expect(out).toContain("dev.json");
  expect(await leftRunning()).toEqual([]);
});

test("a port in use is one line that says so", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const { code, err } = await run(["--once"], {});
  server.close();
  expect(code).toBe(1);
  expect(err).toMatch(new RegExp(`^valetkey: port ${port} is in use; .*PORT=\\d+ npm start\n$`));
});

test("a second server on the same state is refused in one line", async () => {
  let second: Promise<Run> | undefined;
  const other = await mainPort();
  await run([], {}, (text, kill) => {
    if (!text.includes("Ctrl-C") || second !== undefined) return;
    second = run(["--once"], { PORT: String(other) });
    void second.finally(kill);
  });
  expect((await second)?.code).toBe(1);
  expect((await second)?.err).toMatch(/^valetkey: .* is in use by a gateway that runs already; .*\n$/);
});

test.each([
  ["no JSON", "{"],
  ["a key missing", '{"ROOT_KEYS":"1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}'],
  ["empty", ""],
])("a broken keys.json (%s) is one line, and the file stays as it is", async (_, text) => {
  const broken = await mkdtemp(path.join(tmpdir(), "valetkey-start-"));
  const file = path.join(broken, "keys.json");
  await writeFile(file, text);
  const { code, err } = await run(["--once"], { VALETKEY_STATE: broken });
  expect(code).toBe(1);
  expect(err).toMatch(
    /^valetkey: \S+keys\.json is (damaged|not a JSON object).*; restore it .*, or remove .*\n$/,
  );
  expect(err).not.toContain("AAECAwQF");
  expect(await readFile(file, "utf8")).toBe(text);
  await rm(broken, { recursive: true });
});

test("keys.json missing beside a database is one line, and none is made", async () => {
  const bare = await mkdtemp(path.join(tmpdir(), "valetkey-start-"));
  await writeFile(path.join(bare, "d1"), "");
  const { code, err } = await run(["--once"], { VALETKEY_STATE: bare });
  expect(code).toBe(1);
  expect(err).toMatch(/^valetkey: \S+keys\.json is missing, .*\n$/);
  expect(await readdir(bare)).toEqual(["d1"]);
  await rm(bare, { recursive: true });
});

test.each([
  [["--twice"], {}, /^valetkey: unknown option --twice; .*\n$/],
  [["--once"], { PORT: "eighty" }, /^valetkey: PORT is a number .*\n$/],
])("a mistyped start is one line: %s %s", async (args, env: Record<string, string>, line) => {
  const { code, err } = await run(args, env);
  expect(code).toBe(1);
  expect(err).toMatch(line);
});
