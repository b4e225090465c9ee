import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";

const FOLDER = path.resolve(import.meta.dirname, "../src/gateway/redact/sift");

/**
 * Builds the redactor's inner loop, which JavaScript has no instructions for: 16 bytes at a time. What is built is
 * committed, so that nobody needs the compiler; `npm run check:static` compares. Answers whether it has changed.
 */
export async function buildSift({ write }: { write: boolean }): Promise<boolean> {
  // The compiler alone is larger than everything else here: it is loaded when it is needed.
  const { default: asc } = await import("assemblyscript/asc");
  const source = await readFile(path.join(FOLDER, "sift.as"), "utf8");
  let built: Uint8Array | null = null;
  const { error, stderr } = await asc.main(
    [
      ...[
        "sift.ts",
        "--outFile",
        "sift.wasm",
        "-O3",
        "--noAssert",
        "--runtime",
        "stub",
        "--enable",
        "simd,relaxed-simd",
      ],
      ...["--initialMemory", "10", "--maximumMemory", "10"],
    ],
    {
      readFile: (name: string) => (name === "sift.ts" ? source : null),
      writeFile: (_name: string, contents: Uint8Array | string) => {
        if (typeof contents !== "string") built = contents;
      },
      listFiles: () => [],
    },
  );
  if (error !== null || built === null) throw new Error(`sift.as does not compile:\n${stderr.toString()}`);
  const target = path.join(FOLDER, "sift.wasm");
  const before = await readFile(target).catch(() => Buffer.alloc(0));
  const hasChanged = !before.equals(built);
  if (hasChanged && write) await writeFile(target, built);
  return hasChanged;
}

if (import.meta.main) {
  console.log((await buildSift({ write: true })) ? "sift.wasm was built" : "sift.wasm is up to date");
}
