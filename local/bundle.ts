import { copyFile, mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { buildPages } from "./pages.ts";

/** The repository's root; everything local is relative to it, wherever it is called from. */
export const ROOT = path.resolve(import.meta.dirname, "..");

/**
 * Bundles a worker into one ES module at `outfile`, resolving packages as wrangler does for workerd. Compiled modules
 * stay files of their own, beside it. Answers with their names, and with the names that the worker exports (its Durable
 * Object classes among them).
 */
export async function bundle(
  entry: string,
  outfile: string,
): Promise<{ exports: string[]; wasm: readonly string[] }> {
  await mkdir(path.dirname(outfile), { recursive: true });
  await buildPages({ write: true });
  const wasm = new Map<string, string>();
  const result = await build({
    entryPoints: [entry],
    outfile,
    absWorkingDir: ROOT,
    bundle: true,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    mainFields: ["browser", "module", "main"],
    external: ["cloudflare:*", "node:*"],
    define: { "process.env.NODE_ENV": '"production"' },
    loader: { ".html": "text", ".txt": "text", ".sql": "text", ".gz": "binary" },
    plugins: [
      {
        name: "wasm",
        setup({ onResolve }) {
          onResolve({ filter: /\.wasm$/ }, ({ path: file, resolveDir }) => {
            wasm.set(path.basename(file), path.resolve(resolveDir, file));
            return { path: `./${path.basename(file)}`, external: true };
          });
        },
      },
    ],
    minifySyntax: true,
    sourcemap: false,
    metafile: true,
    logLevel: "silent",
  });
  for (const [name, file] of wasm) await copyFile(file, path.join(path.dirname(outfile), name));
  const output = Object.values(result.metafile.outputs).find((file) => file.entryPoint !== undefined);
  return { exports: output?.exports ?? [], wasm: [...wasm.keys()] };
}

/** `npm run build`: what is deployed, and how large it is (Cloudflare counts the compressed size). */
if (import.meta.main) {
  const outfile = path.join(ROOT, "dist/worker.js");
  await bundle(path.join(ROOT, "src/index.ts"), outfile);
  const code = await readFile(outfile);
  const kib = (bytes: number) => `${(bytes / 1024).toFixed(1)} KiB`;
  console.log(`dist/worker.js  ${kib(code.byteLength)}, gzip ${kib(gzipSync(code).byteLength)}`);
}
