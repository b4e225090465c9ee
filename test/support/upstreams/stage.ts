import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { expect } from "vitest";
import { freePorts } from "../../../local/ports.ts";
import { type Recorded, startUpstream, type Upstream } from "../../../local/upstream.ts";
import { type Gateway, startGateway } from "../gateway.ts";
import { startTee, type Tee } from "../tee.ts";
import { type ConnectionOptions, createTenant, type TestTenant } from "../tenant.ts";
import type { Emulation, Place } from "./emulation.ts";

/** A connection to an emulation, with the credential for its secret. */
export interface StagedConnection extends Omit<
  ConnectionOptions,
  "base_url" | "secret" | "secrets" | "value"
> {
  emulation: Emulation;
  /** It gets a host (here: a port) of its own, for SDKs that know no base path. */
  ownHost?: boolean;
}

/** A gateway, a provider behind it, and a tap on the wire between the SDK and the gateway. */
export interface Stage {
  gateway: Gateway;
  tenant: TestTenant;
  /** What an SDK is told: the tap's URL, `/proxy/{slug}` is appended by the test. */
  url: string;
  /** Ports of the connections that have a host of their own. */
  ports: Record<string, number>;
  upstreams: Record<string, Upstream>;
  /** All that the upstreams have received since the last `expectSealed`. */
  requests(): Recorded[];
  /**
   * The guarantee of the whole product, to be checked after every test: each request had the real credential in its
   * place and nowhere else, none had anything of the gateway's, no byte of the credential went to the SDK.
   */
  expectSealed(): void;
  /** Ends everything, after a last look: neither logs nor databases hold the credential or a token. */
  close(): Promise<void>;
}

/** A credential as the provider would have issued it. */
export function newCredential(prefix: string): string {
  return prefix + randomBytes(24).toString("hex");
}

/** Sets everything up. `credential` stands in each of the connections' requests at `place`. */
export async function setStage(options: {
  credential: string;
  place: Place;
  connections: Record<string, StagedConnection>;
}): Promise<Stage> {
  const { credential, place } = options;
  const connections = Object.entries(options.connections);
  const hosted = connections.filter(([, { ownHost }]) => ownHost === true).map(([slug]) => slug);
  const [mainPort = 0, ...hostPorts] = await freePorts(1 + hosted.length);
  const gateway = await startGateway({
    bindings: { HOSTS: hosted.map((slug, index) => `127.0.0.1:${hostPorts[index]}=${slug}`).join(",") },
  });
  const tees: Tee[] = [];
  for (const port of [mainPort, ...hostPorts]) tees.push(await startTee({ port, target: gateway.url }));
  const tenant = await createTenant(gateway);
  const upstreams: Record<string, Upstream> = {};
  for (const [slug, { emulation, ownHost: _, ...connection }] of connections) {
    const { routes, upgrade } = emulation;
    const upstream = await startUpstream({ port: 0, routes, ...(upgrade === undefined ? {} : { upgrade }) });
    upstreams[slug] = upstream;
    await tenant.connect(slug, { ...connection, base_url: upstream.url, value: credential });
  }
  const requests = (): Recorded[] => Object.values(upstreams).flatMap((upstream) => upstream.requests);
  return {
    gateway,
    tenant,
    url: `http://127.0.0.1:${mainPort}`,
    ports: Object.fromEntries(hosted.map((slug, index) => [slug, hostPorts[index] ?? 0])),
    upstreams,
    requests,
    expectSealed() {
      try {
        for (const request of requests()) expectInPlace(request, credential, place);
        for (const tee of tees) expectUnseen(tee, credential);
        // Upstreams tell the credential back with every answer: without its mask on the wire, nothing was tested.
        const echo = place.value.replace(credential, masked(credential));
        const echoes = tees
          .flatMap((tee) => tee.received())
          .join("")
          .split(`x-received-credential: ${echo}`);
        expect(echoes).toHaveLength(requests().length + 1);
      } finally {
        for (const upstream of Object.values(upstreams)) upstream.requests.length = 0;
        for (const tee of tees) tee.forget();
      }
    },
    async close() {
      try {
        await expectNothingKept(gateway, credential);
      } finally {
        for (const tee of tees) await tee.close();
        await gateway.stop();
        for (const upstream of Object.values(upstreams)) await upstream.close();
      }
    },
  };
}

/** Agent tokens, agent keys, members' and bootstrap credentials, as they are and as a Basic user. */
const OURS = /vk[tambeso]_[\w-]{8}|dmt[0hti]X[\w+/]{8}/;

function expectInPlace({ rawHeaders, url, body }: Recorded, credential: string, place: Place): void {
  const headers = rawHeaders.flatMap((name, index) =>
    index % 2 === 0 ? [{ header: name.toLowerCase(), value: rawHeaders[index + 1] ?? "" }] : [],
  );
  const carrying = headers.filter(({ header, value }) =>
    formsOf(credential).some((form) => header.includes(form) || value.includes(form)),
  );
  expect(carrying).toEqual([place]);
  const elsewhere = `${url}\n${body.toString("latin1")}`;
  expect(formsOf(credential).filter((form) => elsewhere.includes(form))).toEqual([]);
  expect(`${rawHeaders.join("\n")}\n${elsewhere}`).not.toMatch(OURS);
}

function expectUnseen(tee: Tee, credential: string): void {
  for (const text of tee.received()) {
    expect(formsOf(credential).filter((form) => text.includes(form))).toEqual([]);
  }
}

async function expectNothingKept({ logs, stateDir }: Gateway, credential: string): Promise<void> {
  expect(logs()).not.toMatch(OURS);
  expect(logs()).not.toContain(credential);
  let bytesSeen = 0;
  for (const entry of await readdir(stateDir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/\.sqlite(-wal)?$/.test(entry.name)) continue;
    const kept = (await readFile(path.join(entry.parentPath, entry.name))).toString("latin1");
    bytesSeen += kept.length;
    expect(
      formsOf(credential).filter((form) => kept.includes(form)),
      entry.name,
    ).toEqual([]);
    expect(OURS.test(kept), `a token in ${entry.name}`).toBe(false);
  }
  expect(bytesSeen).toBeGreaterThan(0);
}

/** A text as it is, in hex and in base64, whatever stands before it. */
function formsOf(text: string): string[] {
  const bytes = Buffer.from(text);
  const aligned = [0, 1, 2].map((shift) => {
    const encoded = Buffer.concat([Buffer.alloc(shift), bytes]).toString("base64");
    // Without the characters that also hold bits of what stands before and after.
    return encoded.slice(shift === 0 ? 0 : 4, -4);
  });
  return [text, bytes.toString("hex"), ...aligned];
}

/** What a redacted text looks like: as long as it was. */
export function masked(text: string): string {
  return "*".repeat(text.length);
}
