import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { bundle, ROOT } from "./bundle.ts";
import { type CapnpValue, Embed, toCapnp } from "./capnp.ts";
import { prepareDatabase, type ServiceConfig, type WorkerConfig } from "./database.ts";
import { readDeclared } from "./declared.ts";

/**
 * Everything `workerd serve` needs besides ports and binding values, made once by `prepare` in `<stateDir>/build`:
 *
 *     build/worker.js     the bundled worker         build/image.json    how it is configured
 *     build/d1-*.js       the local D1               d1/, do/            the data
 *
 * A state directory can be copied (while nothing serves it) and served from its new place.
 */
interface Image {
  compatibilityDate: string;
  compatibilityFlags: string[];
  vars: Record<string, string>;
  durableObjects: { name: string; className: string }[];
  database: { name: string; [field: string]: unknown };
  services: ServiceConfig[];
  extensions: { name: string; file: string }[];
  /** Compiled modules, beside the worker. */
  wasm: readonly string[];
}

const D1_SERVICES = ["d1:db:entry", "d1:db"];
const D1_EXTENSIONS = ["miniflare:shared", "miniflare:zod"];

/**
 * Bundles the worker and brings its database up to date. `entry` defaults to wrangler.toml's `main`; another
 * worker gets those of wrangler.toml's Durable Objects whose classes it exports.
 */
export async function prepare(options: {
  stateDir: string;
  entry?: string | undefined;
}): Promise<{ applied: string[]; milliseconds: number }> {
  const startedAt = performance.now();
  const { compatibilityDate, compatibilityFlags, main, ...declared } = readDeclared(
    path.join(ROOT, "wrangler.toml"),
  );
  const [databaseName, database] = Object.entries(declared.d1Databases)[0] ?? [];
  if (databaseName === undefined || database === undefined) throw new Error("wrangler.toml: no D1 database");
  const entry = options.entry ?? main ?? path.join(ROOT, "src/index.ts");
  const build = path.join(options.stateDir, "build");
  await mkdir(build, { recursive: true });
  const [{ exports, wasm }, { applied, config }] = await Promise.all([
    bundle(entry, path.join(build, "worker.js")),
    prepareDatabase({
      stateDir: options.stateDir,
      migrationsDir: path.join(ROOT, "migrations"),
      binding: databaseName,
      databaseId: database.id,
      compatibilityDate,
      compatibilityFlags,
    }),
  ]);

  const own = config.services.find((service) => service.name === "core:user:valetkey")?.worker;
  const binding = own?.bindings.find(({ name }) => name === databaseName);
  if (binding === undefined) throw new Error("miniflare's configuration has no D1 binding");
  const image: Image = {
    compatibilityDate,
    compatibilityFlags,
    vars: declared.vars,
    durableObjects: Object.entries(declared.durableObjects).flatMap(([name, { className }]) =>
      options.entry === undefined || exports.includes(className) ? [{ name, className }] : [],
    ),
    database: binding,
    services: [],
    extensions: [],
    wasm,
  };
  for (const name of D1_SERVICES) {
    const service = config.services.find((candidate) => candidate.name === name);
    if (service?.worker === undefined) throw new Error(`miniflare's configuration has no service ${name}`);
    image.services.push(await unpack(service, service.worker, build));
  }
  const modules = config.extensions.flatMap((extension) => extension.modules);
  for (const { name, esModule } of modules.filter((module) => D1_EXTENSIONS.includes(module.name))) {
    const file = `${fileName(name)}.js`;
    await writeFile(path.join(build, file), esModule);
    image.extensions.push({ name, file });
  }
  await writeFile(path.join(build, "image.json"), JSON.stringify(image));
  return { applied, milliseconds: performance.now() - startedAt };
}

/** Moves a service's code into files, and leaves out its bindings to miniflare's other services (its log). */
async function unpack(service: ServiceConfig, worker: WorkerConfig, build: string): Promise<ServiceConfig> {
  const modules = [];
  for (const module of worker.modules) {
    const file = `${fileName(service.name)}-${fileName(module.name)}`;
    await writeFile(path.join(build, file), module.esModule);
    modules.push({ name: module.name, esModule: file });
  }
  const bindings = worker.bindings.filter((binding) => binding["service"] === undefined);
  return { name: service.name, worker: { ...worker, modules, bindings } };
}

const fileName = (name: string) => name.replaceAll(/[^a-z0-9.]+/gi, "-");

/** The name under which a binding's value reaches workerd: by its environment, so that no file holds a key. */
export const bindingVariable = (name: string) => `VALETKEY_${name}`;

/**
 * Writes `<stateDir>/build/config.capnp` for a prepared state directory and answers with its path. One http socket
 * a port, `http0` and on, all leading straight to the worker; without `cfBlobHeader`, so that `request.cf` is
 * workerd's own word (`clientIp` is the socket's peer) and no header can set it.
 */
export async function writeConfig(
  stateDir: string,
  ports: number[],
  bindingNames: string[],
): Promise<string> {
  const file = path.join(stateDir, "build/config.capnp");
  const image: Image = JSON.parse(await readFile(path.join(stateDir, "build/image.json"), "utf8"));
  const config = toCapnp({
    services: [
      { name: "gateway", worker: gatewayWorker(image, bindingNames) },
      ...image.services.map(embedModules),
      disk("d1:storage", path.join(stateDir, "d1")),
      disk("do:storage", path.join(stateDir, "do")),
      {
        name: "internet",
        network: {
          allow: ["public", "private"],
          tlsOptions: { trustBrowserCas: true, trustedCertificates: extraCertificates() },
        },
      },
    ],
    sockets: ports.map((port, index) => ({
      name: `http${index}`,
      address: `127.0.0.1:${port}`,
      service: { name: "gateway" },
      http: {},
    })),
    extensions: [
      { modules: image.extensions.map(({ name, file: code }) => ({ name, esModule: new Embed(code) })) },
    ],
  });
  await mkdir(path.join(stateDir, "d1"), { recursive: true });
  await mkdir(path.join(stateDir, "do"), { recursive: true });
  await writeFile(
    file,
    `using Workerd = import "/workerd/workerd.capnp";\nconst config :Workerd.Config = ${config};\n`,
  );
  await chmod(file, 0o600);
  return file;
}

function gatewayWorker(image: Image, bindingNames: string[]): CapnpValue {
  const texts = Object.entries(image.vars).filter(([name]) => !bindingNames.includes(name));
  return {
    modules: [
      { name: "worker.js", esModule: new Embed("worker.js") },
      ...image.wasm.map((name) => ({ name, wasm: new Embed(name) })),
    ],
    compatibilityDate: image.compatibilityDate,
    compatibilityFlags: image.compatibilityFlags,
    bindings: [
      ...texts.map(([name, text]) => ({ name, text })),
      ...bindingNames.map((name) => ({ name, fromEnvironment: bindingVariable(name) })),
      plain(image.database),
      ...image.durableObjects.map(({ name, className }) => ({ name, durableObjectNamespace: { className } })),
    ],
    durableObjectNamespaces: image.durableObjects.map(({ className }) => ({
      className,
      uniqueKey: `valetkey-${className}`,
      enableSql: true,
    })),
    durableObjectStorage: { localDisk: "do:storage" },
    globalOutbound: { name: "internet" },
  };
}

function embedModules(service: ServiceConfig): CapnpValue {
  const { worker } = service;
  if (worker === undefined) throw new Error(`service ${service.name} has no worker`);
  return {
    name: service.name,
    worker: {
      ...plain(worker),
      modules: worker.modules.map(({ name, esModule }) => ({ name, esModule: new Embed(esModule) })),
    },
  };
}

/** What came from JSON holds nothing that Cap'n Proto's text cannot say. */
function plain(fields: Record<string, unknown>): Record<string, CapnpValue> {
  return fields as Record<string, CapnpValue>;
}

const disk = (name: string, directory: string) => ({ name, disk: { path: directory, writable: true } });

/** The private CAs of Node's own setting, so that both ends of a local setup trust the same upstreams. */
function extraCertificates(): string[] | undefined {
  const file = process.env["NODE_EXTRA_CA_CERTS"];
  if (file === undefined || !existsSync(file)) return undefined;
  return (
    readFileSync(file, "utf8").match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ??
    undefined
  );
}
