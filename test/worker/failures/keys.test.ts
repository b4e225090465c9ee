import { env } from "cloudflare:workers";
import { createExecutionContext } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openDatabase } from "../../../src/base/database.ts";
import { Credentials } from "../../../src/credentials/obtain.ts";
import { proxy } from "../../../src/gateway/proxy.ts";
import { createGateway } from "../../../src/call-path.ts";
import { hostsOf } from "../../../src/isolate.ts";
import { EmbeddedKeyProvider } from "../../../src/vault/kms/embedded.ts";
import type { KeyProvider, WrappedKey } from "../../../src/vault/kms/key-provider.ts";
import { Vault } from "../../../src/vault/vault.ts";
import { never } from "../support/failing.ts";
import { CALLER_IP, CANARY, createTenant, isolate, ORIGIN } from "../support/tenant.ts";
import { type Answer, answerOf, eventsOf, tokenObject, watchDepartures } from "./support.ts";

const real = env as Env;

/** A key service far away: what it has is right, how it answers is up to the test. */
class RemoteKeys implements KeyProvider {
  readonly id = "embedded";
  unwraps = 0;
  answer: (unwrap: () => Promise<CryptoKey>) => Promise<CryptoKey> = (unwrap) => unwrap();
  readonly #inner = new EmbeddedKeyProvider(real.ROOT_KEYS ?? "");

  keyVersion(tenantId: string, kek?: string | null): Promise<string> {
    return this.#inner.keyVersion(tenantId, kek);
  }

  wrap(tenantId: string, dek: Uint8Array, aad: Uint8Array, kek?: string | null): Promise<WrappedKey> {
    return this.#inner.wrap(tenantId, dek, aad, kek);
  }

  unwrap(tenantId: string, key: WrappedKey, aad: Uint8Array): Promise<CryptoKey> {
    this.unwraps++;
    return this.answer(() => this.#inner.unwrap(tenantId, key, aad));
  }

  rewrap(tenantId: string, key: WrappedKey, aad: Uint8Array): Promise<WrappedKey> {
    return this.#inner.rewrap(tenantId, key, aad);
  }
}

/** A tenant's calls through the proxy on an isolate whose vault asks `keys`. */
async function openScene() {
  const tenant = await createTenant();
  const token = await tenant.token({ max_uses: 3 });
  const { tokenId } = await tenant.services.tokenUses.identify(token);
  const bindings = isolate();
  const keys = new RemoteKeys();
  return {
    tenant,
    token,
    keys,
    async send(): Promise<Answer> {
      const context = createExecutionContext();
      const waitUntil = (promise: Promise<unknown>) => context.waitUntil(promise);
      const url = `${ORIGIN}/proxy/up/v1/x`;
      const read = hostsOf(bindings).read(url);
      if (read === null) throw new Error("not a call");
      const gateway = createGateway(bindings, read.target.host, waitUntil);
      const { changes } = tenant.services;
      const parts = { db: openDatabase(real), keys, changes, clock: Date.now, waitUntil };
      const vault = new Vault({ ...parts, onEvents: () => undefined });
      const request = new Request(url, { headers: { authorization: `Bearer ${token}` } });
      const client = { address: CALLER_IP, shared: false };
      return answerOf(
        await proxy(request, read.target, read.addressed, client, {
          ...gateway,
          vault,
          credentials: new Credentials({ vault }),
        }),
      );
    },
    uses: async () => (await tokenObject(tokenId).state()).uses,
    events: () => eventsOf(tenant.tenantId, tokenId),
  };
}

/** A data key of a tenant that has nothing to do with it. */
async function foreignKey(): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", new Uint8Array(32).fill(7), "AES-GCM", false, ["decrypt"]);
}

let departures: ReturnType<typeof watchDepartures>;
beforeEach(() => {
  departures = watchDepartures();
});
afterEach(() => departures.stop());

const DOWN = new Error("connect ECONNREFUSED kms.internal:443 (key zq7)");

describe("attack 69: the key service", () => {
  it.each([
    { how: "is down", answer: () => Promise.reject(DOWN), status: 503, code: "UNAVAILABLE", retryAfter: "5" },
    { how: "never answers", answer: never, status: 503, code: "UNAVAILABLE", retryAfter: "5" },
    {
      how: "answers with another tenant's key",
      answer: foreignKey,
      status: 500,
      code: "INTERNAL",
      retryAfter: null,
    },
  ])(
    "attack 69: $how: $code, nothing leaves, no use is spent, and once it is right again the call passes",
    async ({ answer, status, code, retryAfter }) => {
      const { send, keys, uses } = await openScene();
      keys.answer = answer;
      const refused = await send();
      expect([refused.status, refused.code, refused.retryAfter]).toEqual([status, code, retryAfter]);
      expect(refused.text).not.toMatch(/kms|zq7|ECONN|unwrap|AES|decrypt/i);
      expect(departures.count()).toBe(0);
      expect(await uses()).toBe(0);
      keys.answer = (unwrap) => unwrap();
      expect((await send()).status).toBe(200);
      expect(await uses()).toBe(1);
    },
    15_000,
  );

  it("attack 69: answers for another key of the same tenant: that opens nothing here, and is not kept", async () => {
    const one = await openScene();
    const other = await openScene();
    let foreign: CryptoKey | undefined;
    other.keys.answer = async (unwrap) => (foreign = await unwrap());
    expect((await other.send()).status).toBe(200);
    one.keys.answer = async () => foreign ?? never();
    expect((await one.send()).code).toBe("INTERNAL");
    one.keys.answer = (unwrap) => unwrap();
    expect((await one.send()).status).toBe(200);
    expect(one.keys.unwraps).toBe(2);
  });

  it("attack 69: down or slow: warm calls go on and ask it nothing", async () => {
    const { send, keys, uses } = await openScene();
    expect((await send()).status).toBe(200);
    for (const answer of [() => Promise.reject(DOWN), never]) {
      keys.answer = answer;
      const answered = await send();
      expect(answered.status).toBe(200);
      expect(JSON.parse(answered.text).headers.authorization).not.toContain(CANARY);
    }
    expect(keys.unwraps).toBe(1);
    expect(await uses()).toBe(3);
  });

  it("slow: 200 calls wait for one answer; where its asker is gone, for one more", async () => {
    const { send, keys, tenant } = await openScene();
    await tenant.services.connections.update(tenant.admin, "up", { limits: { concurrent_calls: 1_000 } });
    keys.answer = async (unwrap) => {
      if (keys.unwraps === 1) return never();
      await scheduler.wait(300);
      return unwrap();
    };
    const answers = await Promise.all(Array.from({ length: 200 }, send));
    const codes = answers.map(({ status, code }) => code ?? status);
    expect(new Set(codes)).toEqual(new Set([200, "USES_EXHAUSTED"]));
    expect(codes.filter((code) => code === 200)).toHaveLength(3);
    expect(keys.unwraps).toBe(2);
  }, 20_000);
});
