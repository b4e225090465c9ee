import { readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { build } from "esbuild";

/** What browsers run, by where it is written; the Worker serves what stands beside it with `.gz` at its end. */
const SCRIPTS = ["src/api/pages/sign-in-client.js"];

const root = path.resolve(import.meta.dirname, "..");

/**
 * Bundles and compresses the scripts of the pages, with the packages they need. Answers with those whose compressed form
 * was not what it must be; `write`: and is by now. By their content: what compresses them differs between machines.
 */
export async function buildPages({ write }: { readonly write: boolean }): Promise<readonly string[]> {
  const stale: string[] = [];
  for (const script of SCRIPTS) {
    const { outputFiles } = await build({
      entryPoints: [script],
      absWorkingDir: root,
      bundle: true,
      format: "esm",
      target: "es2022",
      minify: true,
      legalComments: "inline",
      write: false,
      logLevel: "silent",
    });
    const made = Buffer.from(outputFiles[0]?.contents ?? []);
    const file = path.join(root, `${script}.gz`);
    const held = await readFile(file).then(gunzipSync, () => null);
    if (held?.equals(made)) continue;
    stale.push(script);
    if (!write) continue;
    const draft = `${file}.${process.pid}`;
    await writeFile(draft, gzipSync(made, { level: 9 }));
    await rename(draft, file);
  }
  return stale;
}

/** `node local/pages.ts` */
if (import.meta.main) {
  const stale = await buildPages({ write: true });
  console.log(stale.length === 0 ? "current" : stale.map((script) => `${script}.gz`).join("\n"));
}
