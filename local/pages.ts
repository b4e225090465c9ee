import { readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { build, type Plugin } from "esbuild";

/** What browsers run, by where it is written, and what the Worker serves of it. */
const SCRIPTS: Readonly<Record<string, string>> = {
  "src/api/pages/sign-in-client.js": "src/api/pages/sign-in-client.js.gz",
  "pages/approvals/main.ts": "src/api/pages/approvals-client.js.gz",
};

/** A page may share a file of the Worker's that also has what needs Node: that part is left out, being used by nobody. */
const withoutNode: Plugin = {
  name: "without-node",
  setup(build) {
    build.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, external: true, sideEffects: false }));
  },
};

const root = path.resolve(import.meta.dirname, "..");

/**
 * Bundles and compresses the scripts of the pages, with the packages they need. Answers with those whose compressed form
 * was not what it must be; `write`: and is by now. By their content: what compresses them differs between machines.
 */
export async function buildPages({ write }: { readonly write: boolean }): Promise<readonly string[]> {
  const stale: string[] = [];
  for (const [script, compressed] of Object.entries(SCRIPTS)) {
    const { outputFiles } = await build({
      entryPoints: [script],
      absWorkingDir: root,
      bundle: true,
      format: "esm",
      target: "es2022",
      minify: true,
      legalComments: "inline",
      plugins: [withoutNode],
      write: false,
      logLevel: "silent",
    });
    const made = Buffer.from(outputFiles[0]?.contents ?? []);
    if (/\bfrom"node:/.test(made.toString())) throw new Error(`${script} needs what only Node has`);
    const file = path.join(root, compressed);
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
  console.log(stale.length === 0 ? "current" : stale.join("\n"));
}
