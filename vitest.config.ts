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
 * What the Worker imports late, for the sake of its cold start, it imports at once in tests: in the bundle that asks
 * nobody, while the tests' module runner does I/O for it that two requests at the same time cannot share.
 */
const importsAtOnce: Plugin = {
  name: "imports-at-once",
  enforce: "pre",
  transform(code, id) {
    if (!id.endsWith("/src/identity/webauthn.ts")) return null;
    const names: string[] = [];
    const changed = code.replaceAll(/await import\("([^"]+)"\)/g, (_all, name: string) => {
      names.push(`import * as late${names.length} from ${JSON.stringify(name)};`);
      return `late${names.length - 1}`;
    });
    return { code: `${names.join("")}${changed}`, map: null };
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
          importsAtOnce,
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
