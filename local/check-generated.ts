import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { buildPages } from "./pages.ts";
import { buildSift } from "./sift.ts";

for (const script of await buildPages({ write: false })) {
  console.error(`${script} has changed: run \`node local/pages.ts\` and commit its .gz.`);
  process.exitCode = 1;
}

if (await buildSift({ write: false })) {
  console.error("sift.as has changed: run `node local/sift.ts` and commit sift.wasm.");
  process.exitCode = 1;
}

/** Fails where the tables in src and the migrations disagree: `npm run generate` then makes the missing one. */
const root = path.resolve(import.meta.dirname, "..");
const scratch = mkdtempSync(path.join(tmpdir(), "valetkey-migrations-"));
try {
  cpSync(path.join(root, "migrations"), scratch, { recursive: true });
  const before = readdirSync(scratch).toSorted().join();
  const config = path.join(scratch, "drizzle.config.json");
  const schema = path.join(root, "src/**/tables.ts");
  const out = path.relative(root, scratch);
  writeFileSync(config, JSON.stringify({ dialect: "sqlite", schema, out, casing: "snake_case" }));
  execFileSync("drizzle-kit", ["generate", "--config", path.relative(root, config)], {
    cwd: root,
    stdio: "pipe",
  });
  rmSync(config);
  if (readdirSync(scratch).toSorted().join() !== before) {
    console.error("The tables in src have changed: run `npm run generate` and commit the migration.");
    process.exitCode = 1;
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
