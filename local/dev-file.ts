import { rename, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { errorCode, StartError } from "./state.ts";

/** `<stateDir>/dev.json`, mode 0600: how scripts on this machine reach the gateway. */
const devSchema = z.strictObject({
  url: z.url(),
  /** May manage, may never approve. */
  admin_token: z.string().min(1),
  /** The demo agent's key. */
  agent_key: z.string().min(1).optional(),
});
export type Dev = z.infer<typeof devSchema>;

export const devFile = (stateDir: string) => path.join(stateDir, "dev.json");

/**
 * What an earlier start left, if one was there.
 * @throws StartError when the file cannot be read or is damaged
 */
export async function readDev(stateDir: string): Promise<Dev | undefined> {
  const file = devFile(stateDir);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw new StartError(`${file} cannot be read (${errorCode(error)}); make it readable for this user`);
  }
  try {
    return devSchema.parse(JSON.parse(text));
  } catch {
    throw new StartError(
      `${file} is damaged and holds the only admin credential; restore it from a copy, ` +
        `or remove ${stateDir} to start from nothing`,
    );
  }
}

/** Replaces the file as a whole. */
export async function writeDev(stateDir: string, dev: Dev): Promise<void> {
  const draft = `${devFile(stateDir)}.${process.pid}`;
  await writeFile(draft, `${JSON.stringify(dev, null, 2)}\n`, { mode: 0o600 });
  await rename(draft, devFile(stateDir));
}
