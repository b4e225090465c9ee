import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { editsOf, type Mutation } from "./mutation.ts";

export const ROOT = path.join(import.meta.dirname, "../..");

/** A copy of the working tree, what is not ignored, with the packages linked. Goes with this process at the latest. */
export interface Tree {
  readonly dir: string;
  remove(): void;
}

export async function copyTree(): Promise<Tree> {
  const dir = await mkdtemp(path.join(tmpdir(), "valetkey-prove-"));
  const remove = (): void => {
    process.off("exit", remove);
    rmSync(dir, { recursive: true, force: true });
  };
  process.once("exit", remove);
  const listed = execFileSync("git", ["ls-files", "-coz", "--exclude-standard"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  for (const file of listed.split("\0").filter((name) => name !== "" && existsSync(path.join(ROOT, name)))) {
    await cp(path.join(ROOT, file), path.join(dir, file), { recursive: true });
  }
  // One by one, so that what tools cache beside the packages stays in the copy.
  await mkdir(path.join(dir, "node_modules"));
  for (const name of readdirSync(path.join(ROOT, "node_modules"))) {
    if (name.startsWith(".") && name !== ".bin") continue;
    await symlink(path.join(ROOT, "node_modules", name), path.join(dir, "node_modules", name));
  }
  return { dir, remove };
}

/** Why a mutation does not fit the source, or null. */
export function misfit(mutation: Mutation, dir = ROOT): string | null {
  for (const { file, find, replace } of editsOf(mutation)) {
    const target = path.join(dir, file);
    if (!existsSync(target)) return `${file} is not there`;
    const times = readFileSync(target, "utf8").split(find).length - 1;
    if (times !== 1) return `${JSON.stringify(find)} stands ${times} times in ${file}`;
    if (find === replace) return "it changes nothing";
  }
  return null;
}

/** Takes the defence out, does the work, and puts it back. */
export async function without<T>(tree: Tree, mutation: Mutation, work: () => Promise<T>): Promise<T> {
  const sources = new Map<string, string>();
  for (const { file, find, replace } of editsOf(mutation)) {
    const target = path.join(tree.dir, file);
    const source = readFileSync(target, "utf8");
    if (!sources.has(target)) sources.set(target, source);
    // A function, since `$&` in a replacement text would be a pattern.
    writeFileSync(
      target,
      source.replace(find, () => replace),
    );
  }
  try {
    return await work();
  } finally {
    for (const [target, source] of sources) writeFileSync(target, source);
  }
}
