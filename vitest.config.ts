import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import type { Plugin } from "vitest/config";

/** What the platform makes of a `.wasm` file, for Node. */
const compiledModules: Plugin = {
  name: "compiled-modules",
  enforce: "pre",
  load(id) {
    if (!id.endsWith(".wasm")) return null;
    return `import { readFileSync } from "node:fs";
      export default new WebAssembly.Module(readFileSync(${JSON.stringify(id)}));`;
  },
};

/**
 * Two kinds of tests. `worker` runs inside workerd, next to the objects and the database it looks into;
 * `gateway` runs in Node against a running gateway, through its own door, as its users and attackers do.
 */
export default defineConfig({
  test: {
    reporters: ["default", "./test/support/closing-line.ts"],
    projects: [
      {
        plugins: [
          cloudflareTest(async () => ({
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: {
              // What leaves the Worker lands here, and is told back as it arrived.
              outboundService: async (request: Request) =>
                Response.json({
                  method: request.method,
                  url: request.url,
                  headers: Object.fromEntries(request.headers),
                  body: await request.text(),
                }),
              bindings: {
                TEST_MIGRATIONS: await readD1Migrations("migrations"),
                ENVIRONMENT: "development",
                PRIVATE_UPSTREAMS: "allow",
                CLIENT_ADDRESS: "cf-connecting-ip",
                ROOT_KEYS: "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
                TOKEN_SIGNING_KEYS: "1:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=",
                PEPPER: "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=",
                BOOTSTRAP_CREDENTIAL: "vkb_test-bootstrap-credential-000000000000",
              },
            },
          })),
        ],
        test: {
          name: "worker",
          include: ["test/worker/**/*.test.ts"],
          setupFiles: ["./test/worker/setup.ts"],
          isolate: false,
          maxWorkers: 2,
          testTimeout: 30_000,
        },
      },
      {
        plugins: [compiledModules],
        test: {
          name: "gateway",
          include: ["test/{sdk,attacks,local}/**/*.test.ts"],
          globalSetup: ["./test/support/global-setup.ts"],
          maxWorkers: 2,
          isolate: false,
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
