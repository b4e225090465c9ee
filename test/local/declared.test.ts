import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ROOT } from "../../local/bundle.ts";
import { readDeclared } from "../../local/declared.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "valetkey-declared-"));
  await cp(path.join(ROOT, "wrangler.toml"), path.join(dir, "wrangler.toml"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

test.each([".dev.vars", ".env", ".env.local"])(
  "a developer's keys in %s never get into what is served",
  async (file) => {
    const before = readDeclared(path.join(dir, "wrangler.toml"));
    await writeFile(path.join(dir, file), "ROOT_KEYS=1:a-developers-key\nENVIRONMENT=development\n");
    const after = readDeclared(path.join(dir, "wrangler.toml"));
    expect(after).toEqual(before);
    expect(after.vars).toEqual({ ENVIRONMENT: "production" });
    expect(Object.keys(after.durableObjects)).toContain("SCOPED_TOKEN");
  },
);
