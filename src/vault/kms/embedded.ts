import { BoundedCache } from "../../base/cache.ts";
import { Problem } from "../../base/problem.ts";
import { cannotOpen, DEK_BYTES, type KeyProvider, type WrappedKey } from "./key-provider.ts";

const ID = "embedded";
const SALT = new TextEncoder().encode("valetkey/embedded/1");
const ROOT_KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const MAX_KEKS = 1_000;

/**
 * The embedded provider: a tenant's KEK is HKDF-SHA256 (RFC 5869) of a root key, with `SALT` and the info
 * `["valetkey kek", tenant, version]` in JSON, with the key's name at the end if it has one. A data key is wrapped by
 * AES-256-GCM: nonce (12 bytes), ciphertext, tag.
 * Root keys are held as a Worker secret: in production a key service is better.
 */
export class EmbeddedKeyProvider implements KeyProvider {
  readonly id = ID;
  readonly #roots: ReadonlyMap<string, Uint8Array>;
  readonly #newest: string;
  readonly #keks = new BoundedCache<string, CryptoKey>(MAX_KEKS);

  /**
   * `rootKeys` is `version:base64,…`, newest first; new data keys are wrapped under the first. Throws MISCONFIGURED
   * for anything but whole numbers in falling order, each with 32 bytes of canonical base64.
   */
  constructor(rootKeys: string) {
    this.#roots = parseRootKeys(rootKeys);
    this.#newest = `${ID}/${[...this.#roots.keys()][0]}`;
  }

  keyVersion(_tenantId: string, kek: string | null = null): Promise<string> {
    return Promise.resolve(this.#newestOf(kek));
  }

  async wrap(
    tenantId: string,
    dek: Uint8Array,
    aad: Uint8Array,
    name: string | null = null,
  ): Promise<WrappedKey> {
    if (dek.byteLength !== DEK_BYTES) throw new TypeError(`a data key has ${DEK_BYTES} bytes`);
    const keyVersion = this.#newestOf(name);
    const kek = await this.#kek(tenantId, keyVersion);
    const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: aad }, kek, dek);
    const wrapped = Buffer.concat([iv, new Uint8Array(sealed)]).toString("base64");
    return { wrapped, keyVersion };
  }

  async unwrap(tenantId: string, key: WrappedKey, aad: Uint8Array): Promise<CryptoKey> {
    const kek = await this.#kek(tenantId, key.keyVersion);
    const { iv, sealed } = split(key);
    try {
      const algorithm = { name: "AES-GCM", iv, additionalData: aad };
      return await crypto.subtle.unwrapKey("raw", sealed, kek, algorithm, "AES-GCM", false, ["decrypt"]);
    } catch (error) {
      throw cannotOpen(error);
    }
  }

  async rewrap(tenantId: string, key: WrappedKey, aad: Uint8Array): Promise<WrappedKey> {
    const kek = await this.#kek(tenantId, key.keyVersion);
    const { iv, sealed } = split(key);
    let dek: Uint8Array;
    try {
      const algorithm = { name: "AES-GCM", iv, additionalData: aad };
      dek = new Uint8Array(await crypto.subtle.decrypt(algorithm, kek, sealed));
    } catch (error) {
      throw cannotOpen(error);
    }
    try {
      return await this.wrap(tenantId, dek, aad, parseKeyVersion(key.keyVersion)?.name ?? null);
    } finally {
      dek.fill(0);
    }
  }

  #newestOf(kek: string | null): string {
    return kek === null ? this.#newest : `${this.#newest}/${kek}`;
  }

  async #kek(tenantId: string, keyVersion: string): Promise<CryptoKey> {
    const cacheKey = `${keyVersion} ${tenantId}`;
    const held = this.#keks.get(cacheKey);
    if (held !== undefined) return held;
    const { version, name } = parseKeyVersion(keyVersion) ?? { version: "", name: null };
    const root = this.#roots.get(version);
    if (root === undefined) throw cannotOpen(`no root key for ${JSON.stringify(keyVersion)}`);
    const named = name === null ? [] : [name];
    const info = new TextEncoder().encode(JSON.stringify(["valetkey kek", tenantId, version, ...named]));
    const kek = await crypto.subtle.deriveKey(
      { name: "HKDF", hash: "SHA-256", salt: SALT, info },
      await crypto.subtle.importKey("raw", root, "HKDF", false, ["deriveKey"]),
      { name: "AES-GCM", length: 256 },
      false,
      ["encrypt", "decrypt", "unwrapKey"],
    );
    this.#keks.set(cacheKey, kek);
    return kek;
  }
}

const providers = new BoundedCache<string, EmbeddedKeyProvider>(4);

/** The provider for these root keys, the same one for all requests of an isolate: it holds the derived keys. */
export function embeddedKeyProvider(rootKeys: string): EmbeddedKeyProvider {
  const held = providers.get(rootKeys);
  if (held !== undefined) return held;
  const provider = new EmbeddedKeyProvider(rootKeys);
  providers.set(rootKeys, provider);
  return provider;
}

/** `embedded/{version}` or `embedded/{version}/{name}`. */
function parseKeyVersion(text: string): { readonly version: string; readonly name: string | null } | null {
  const [id, version, name, ...rest] = text.split("/");
  if (id !== ID || version === undefined || name === "" || rest.length > 0) return null;
  return { version, name: name ?? null };
}

function split(key: WrappedKey): { readonly iv: Uint8Array; readonly sealed: Uint8Array } {
  const bytes = Buffer.from(key.wrapped, "base64");
  const isWhole =
    bytes.byteLength === NONCE_BYTES + DEK_BYTES + TAG_BYTES && bytes.toString("base64") === key.wrapped;
  if (!isWhole) throw cannotOpen("the wrapped key has another form");
  return { iv: bytes.subarray(0, NONCE_BYTES), sealed: bytes.subarray(NONCE_BYTES) };
}

function parseRootKeys(text: string): ReadonlyMap<string, Uint8Array> {
  const roots = new Map<string, Uint8Array>();
  let previous = Number.POSITIVE_INFINITY;
  for (const [index, entry] of text.split(",").entries()) {
    const [version = "", encoded = "", ...rest] = entry.trim().split(":");
    const bytes = Buffer.from(encoded, "base64");
    const isWhole = bytes.byteLength === ROOT_KEY_BYTES && bytes.toString("base64") === encoded;
    if (!/^[1-9][0-9]{0,8}$/.test(version) || !isWhole || rest.length > 0) {
      throw new Problem(
        "MISCONFIGURED",
        `ROOT_KEYS: entry ${index + 1} must be "version:key", the key 32 bytes in base64.`,
      );
    }
    if (Number(version) >= previous) {
      throw new Problem("MISCONFIGURED", "ROOT_KEYS: versions must fall from entry to entry, newest first.");
    }
    previous = Number(version);
    roots.set(version, bytes);
  }
  return roots;
}
