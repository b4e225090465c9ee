import {
  unstable_getMiniflareWorkerOptions as readWorkerOptions,
  unstable_readConfig as readConfig,
} from "wrangler";
import { z } from "zod";

/** What is used of wrangler.toml, in miniflare's words. */
const optionsSchema = z.object({
  compatibilityDate: z.string(),
  compatibilityFlags: z.array(z.string()),
  d1Databases: z.record(z.string(), z.object({ id: z.string() })),
  durableObjects: z.record(z.string(), z.object({ className: z.string(), useSQLite: z.literal(true) })),
});

export interface Declared extends z.infer<typeof optionsSchema> {
  readonly main: string | undefined;
  readonly vars: Record<string, string>;
}

/**
 * Takes a wrangler.toml apart. `vars` are that file's own: miniflare's options mix in what `.dev.vars` and `.env` hold
 * beside it, which are a developer's keys, and what is served locally keeps its vars in a file.
 */
export function readDeclared(configFile: string): Declared {
  const { workerOptions, main } = readWorkerOptions(configFile);
  const { vars } = readConfig({ config: configFile });
  const texts = Object.entries(vars).map(([name, value]) => [
    name,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  return { ...optionsSchema.parse(workerOptions), main, vars: Object.fromEntries(texts) };
}
