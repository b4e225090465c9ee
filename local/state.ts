import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { link, mkdir, open, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";

/** A mistake whose message is one line for the person who started us: what, where, what to do. Never a secret. */
export class StartError extends Error {
  override readonly name = "StartError";
}

const keyList = z.string().regex(/^\d+:[A-Za-z0-9+/]{43}=(,\d+:[A-Za-z0-9+/]{43}=)*$/);
const keysSchema = z.strictObject({
  ROOT_KEYS: keyList,
  TOKEN_SIGNING_KEYS: keyList,
  PEPPER: z.string().regex(/^[A-Za-z0-9+/]{43}=$/),
  BOOTSTRAP_CREDENTIAL: z.string().regex(/^vkb_[0-9a-f]{64}$/),
});

/** The worker's secrets, by the names of its bindings. */
export type Keys = z.infer<typeof keysSchema>;

/**
 * The keys of a state directory, from `<stateDir>/keys.json` (mode 0600), made at the first start. They are never
 * made anew beside data they would not open, and a file that is there is never written to.
 * @throws StartError when the file is missing beside a database, cannot be read, or is not whole
 */
export async function loadKeys(stateDir: string): Promise<Keys> {
  const file = path.join(stateDir, "keys.json");
  if (!existsSync(file)) {
    if (existsSync(path.join(stateDir, "d1"))) {
      throw new StartError(
        `${file} is missing, and what ${stateDir} holds cannot be opened without it; ${remedy(stateDir)}`,
      );
    }
    await create(file);
  }
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw new StartError(`${file} cannot be read (${errorCode(error)}); make it readable for this user`);
  }
  const parsed = keysSchema.safeParse(parseJson(text));
  if (!parsed.success) {
    const names = [...new Set(parsed.error.issues.map((issue) => issue.path.join(".")))].filter(
      (name) => name !== "",
    );
    const what = names.length === 0 ? "is not a JSON object of keys" : `is damaged (${names.join(", ")})`;
    throw new StartError(`${file} ${what}; ${remedy(stateDir)}`);
  }
  return parsed.data;
}

const remedy = (stateDir: string) => `restore it from a copy, or remove ${stateDir} to start from nothing`;

/** Linked into place when whole, so that a crash leaves no half file and of two starts one wins. */
async function create(file: string): Promise<void> {
  const base64 = () => randomBytes(32).toString("base64");
  const keys: Keys = {
    ROOT_KEYS: `1:${base64()}`,
    TOKEN_SIGNING_KEYS: `1:${base64()}`,
    PEPPER: base64(),
    BOOTSTRAP_CREDENTIAL: `vkb_${randomBytes(32).toString("hex")}`,
  };
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  await writeNew(file, `${JSON.stringify(keys, null, 2)}\n`);
}

/** Writes a file of mode 0600 that must not exist yet; if it does, it stays as it is. */
export async function writeNew(file: string, text: string): Promise<void> {
  const draft = `${file}.${randomBytes(6).toString("hex")}`;
  try {
    const handle = await open(draft, "wx", 0o600);
    await writeFile(handle, text);
    await handle.sync();
    await handle.close();
    await link(draft, file);
  } catch (error) {
    if (errorCode(error) !== "EEXIST")
      throw new StartError(`${file} cannot be written (${errorCode(error)})`);
  } finally {
    await rm(draft, { force: true });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `ENOENT` and the like. */
export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown error";
}
