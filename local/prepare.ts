import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { ROOT } from "./bundle.ts";
import { loadKeys, StartError, writeNew } from "./state.ts";

/**
 * `npm run dev`, first half: what `wrangler dev` needs. Writes `.dev.vars` (mode 0600; one that is there stays) from
 * the same keys as `npm start`, and applies the migrations to wrangler's own local database.
 */
async function main(): Promise<void> {
  const file = path.join(ROOT, ".dev.vars");
  if (!existsSync(file)) {
    const vars = {
      ENVIRONMENT: "development",
      PRIVATE_UPSTREAMS: "allow",
      ...(await loadKeys(path.resolve(ROOT, process.env["VALETKEY_STATE"] ?? ".valetkey"))),
    };
    const lines = Object.entries(vars).map(([name, value]) => `${name}="${value}"\n`);
    await writeNew(file, lines.join(""));
  }
  const wrangler = path.join(ROOT, "node_modules/wrangler/bin/wrangler.js");
  const { status } = spawnSync(process.execPath, [wrangler, "d1", "migrations", "apply", "DB", "--local"], {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, CI: "true", WRANGLER_SEND_METRICS: "false" },
  });
  if (status !== 0) throw new StartError("the migrations were not applied; wrangler's own words are above");
}

try {
  await main();
} catch (error) {
  if (!(error instanceof StartError)) throw error;
  console.error(`valetkey: ${error.message}`);
  process.exitCode = 1;
}
