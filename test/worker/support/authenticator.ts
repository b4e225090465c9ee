import { createHash } from "node:crypto";

const PRESENT = 0x01;
const VERIFIED = 0x04;
const ATTESTED = 0x40;

/** What goes wrong on purpose. */
export interface Odd {
  readonly origin?: string;
  readonly rpId?: string;
  readonly type?: string;
  readonly crossOrigin?: boolean;
  readonly challenge?: string;
  readonly userHandle?: string;
  /** Flags of the authenticator data; default: present and verified. */
  readonly flags?: number;
  readonly counter?: number;
  readonly signature?: Uint8Array;
}

interface Options {
  readonly challenge: string;
}

/** A software authenticator with one ES256 key, which counts from 1 (WebAuthn Level 3, §6). */
export class Authenticator {
  readonly origin: string;
  readonly #keys: CryptoKeyPair;
  readonly #id = crypto.getRandomValues(new Uint8Array(16));
  #userHandle = "";
  counter = 0;

  private constructor(keys: CryptoKeyPair, origin: string) {
    this.#keys = keys;
    this.origin = origin;
  }

  static async make(origin = "http://localhost"): Promise<Authenticator> {
    const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
      "sign",
      "verify",
    ]);
    return new Authenticator(keys as CryptoKeyPair, origin);
  }

  /** What `navigator.credentials.create()` gives. */
  async create(options: Options & { readonly user: { readonly id: string } }, odd: Odd = {}) {
    this.#userHandle = options.user.id;
    const jwk = (await crypto.subtle.exportKey("jwk", this.#keys.publicKey)) as JsonWebKey;
    const [x, y] = [jwk.x ?? "", jwk.y ?? ""].map((part) => Buffer.from(part, "base64url"));
    // COSE_Key (RFC 9053, §7.1.1): kty EC2, alg ES256, crv P-256, x, y.
    const key = Buffer.concat([
      ...[Buffer.from("a5010203262001215820", "hex"), x ?? Buffer.alloc(0)],
      ...[Buffer.from("225820", "hex"), y ?? Buffer.alloc(0)],
    ]);
    const attested = Buffer.concat([Buffer.alloc(16), Buffer.from([0, this.#id.length]), this.#id, key]);
    const data = this.#data({ flags: PRESENT | VERIFIED, ...odd }, ATTESTED, attested);
    // Packed, with a statement that is nonsense: nobody asks for one, and nobody may trip over it.
    const attestationObject = Buffer.concat([
      Buffer.from("a363666d74667061636b65646761747453746d74a0", "hex"),
      Buffer.from("686175746844617461", "hex"),
      Buffer.from([0x58, data.length]),
      data,
    ]);
    return {
      ...this.#credential(),
      response: {
        clientDataJSON: this.#clientData("webauthn.create", options, odd).toString("base64url"),
        attestationObject: attestationObject.toString("base64url"),
        transports: ["internal"],
      },
    };
  }

  /** What `navigator.credentials.get()` gives. */
  async get(options: Options, odd: Odd = {}) {
    const clientData = this.#clientData("webauthn.get", options, odd);
    const data = this.#data(odd, 0, Buffer.alloc(0));
    const signed = Buffer.concat([data, createHash("sha256").update(clientData).digest()]);
    const raw = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, this.#keys.privateKey, signed);
    const signature = odd.signature ?? der(new Uint8Array(raw));
    return {
      ...this.#credential(),
      response: {
        clientDataJSON: clientData.toString("base64url"),
        authenticatorData: data.toString("base64url"),
        signature: Buffer.from(signature).toString("base64url"),
        userHandle: odd.userHandle ?? this.#userHandle,
      },
    };
  }

  #credential() {
    const id = Buffer.from(this.#id).toString("base64url");
    return {
      id,
      rawId: id,
      type: "public-key",
      clientExtensionResults: {},
      authenticatorAttachment: "platform",
    };
  }

  #clientData(type: string, options: Options, odd: Odd): Buffer {
    const { challenge = options.challenge, origin = this.origin, crossOrigin = false } = odd;
    return Buffer.from(JSON.stringify({ type: odd.type ?? type, challenge, origin, crossOrigin }));
  }

  #data(odd: Odd, more: number, rest: Buffer): Buffer {
    this.counter = odd.counter ?? this.counter + 1;
    const head = Buffer.alloc(37);
    createHash("sha256")
      .update(odd.rpId ?? new URL(this.origin).hostname)
      .digest()
      .copy(head);
    head[32] = (odd.flags ?? PRESENT | VERIFIED) | more;
    head.writeUInt32BE(this.counter, 33);
    return Buffer.concat([head, rest]);
  }
}

/** A signature of r and s, 32 bytes each, as ASN.1 (RFC 3279, §2.2.3). */
function der(raw: Uint8Array): Uint8Array {
  const integer = (bytes: Uint8Array): Buffer => {
    const start = bytes.findIndex((byte) => byte !== 0);
    const trimmed = Buffer.from(bytes.subarray(start < 0 ? bytes.length - 1 : start));
    const body = (trimmed[0] ?? 0) > 0x7f ? Buffer.concat([Buffer.from([0]), trimmed]) : trimmed;
    return Buffer.concat([Buffer.from([0x02, body.length]), body]);
  };
  const body = Buffer.concat([integer(raw.subarray(0, 32)), integer(raw.subarray(32))]);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]);
}
