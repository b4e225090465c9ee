import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { Problem } from "../../../src/base/problem.ts";
import { Redacted } from "../../../src/base/redacted.ts";
import {
  type Binding,
  type Envelope,
  MAX_VALUE_BYTES,
  open,
  openWith,
  seal,
} from "../../../src/vault/envelope.ts";
import { formsOf, WatchedKeys } from "./fixtures.ts";

const keys = new WatchedKeys();
const binding: Binding = { tenantId: "ten_0000000000000001", path: "production/stripe/KEY", version: 3 };

/** AES-256-GCM, 96-bit nonces. The first: NIST CAVS 14.0, gcmEncryptExtIV256.rsp; the rest: GCM spec, test cases 13 to 16. */
const VECTORS = [
  {
    key: "b52c505a37d78eda5dd34f20c22540ea1b58963cf8e5bf8ffa85f9f2492505b4",
    nonce: "516c33929df5a3284ff463d7",
    plaintext: "",
    aad: "",
    sealed: "bdc1ac884d332457a1d2664f168c76f0",
  },
  {
    key: "83688deb4af8007f9b713b47cfa6c73e35ea7a3aa4ecdb414dded03bf7a0fd3a",
    nonce: "0b459724904e010a46901cf3",
    plaintext: "33d893a2114ce06fc15d55e454cf90c3",
    aad: "794a14ccd178c8ebfd1379dc704c5e208f9d8424",
    sealed: "cc66bee423e3fcd4c0865715e95866960fb291bd3dba94a1dfd8b286cfb97ac5",
  },
  {
    key: "00".repeat(32),
    nonce: "00".repeat(12),
    plaintext: "",
    aad: "",
    sealed: "530f8afbc74536b9a963b4f1c4cb738b",
  },
  {
    key: "00".repeat(32),
    nonce: "00".repeat(12),
    plaintext: "00".repeat(16),
    aad: "",
    sealed: "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
  },
  {
    key: "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
    nonce: "cafebabefacedbaddecaf888",
    plaintext:
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    aad: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
    sealed:
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
  },
];

test.each(VECTORS)("AES-256-GCM here is NIST's: nonce $nonce, $plaintext", async (vector) => {
  const bytes = (hex: string) => Buffer.from(hex, "hex");
  const key = await crypto.subtle.importKey("raw", bytes(vector.key), "AES-GCM", false, [
    "encrypt",
    "decrypt",
  ]);
  const algorithm = { name: "AES-GCM", iv: bytes(vector.nonce), additionalData: bytes(vector.aad) };
  const sealed = await crypto.subtle.encrypt(algorithm, key, bytes(vector.plaintext));
  expect(Buffer.from(sealed).toString("hex")).toBe(vector.sealed);
  const opened = await crypto.subtle.decrypt(algorithm, key, bytes(vector.sealed));
  expect(Buffer.from(opened).toString("hex")).toBe(vector.plaintext);
});

async function failure(promise: Promise<unknown>): Promise<Problem> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof Problem) return error;
  throw new Error("a Problem was expected");
}

async function expectClosed(at: Binding, envelope: Envelope): Promise<void> {
  const problem = await failure(open(keys, at, envelope));
  expect(problem.code).toBe("INTERNAL");
  expect(problem.message).toBe("The stored secret could not be opened.");
}

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const flipped = Uint8Array.from(bytes);
  const at = (bit >> 3) % bytes.byteLength;
  flipped[at] = (flipped[at] ?? 0) ^ (1 << (bit % 8));
  return flipped;
}

const anyBinding = fc.record({
  tenantId: fc.stringMatching(/^ten_[0-9a-f]{16}$/),
  path: fc.stringMatching(/^[a-z]{1,8}(\/[A-Z_]{1,8}){1,3}$/),
  version: fc.integer({ min: 1, max: 1_000_000 }),
});

test("whatever is sealed opens as it was, for its own tenant, path and version only", async () => {
  const values = fc.uint8Array({ minLength: 1, maxLength: 500 });
  await fc.assert(
    fc.asyncProperty(anyBinding, anyBinding, values, async (at, elsewhere, value) => {
      const envelope = await seal(keys, at, new Redacted(value));
      expect((await open(keys, at, envelope)).revealBytes()).toEqual(value);
      if (JSON.stringify(at) !== JSON.stringify(elsewhere)) await expectClosed(elsewhere, envelope);
    }),
    { numRuns: 60 },
  );
});

test("an envelope holds no trace of the value or of its length beyond what length it is", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 12, maxLength: 200 }), async (value) => {
      const { nonce, ciphertext, wrapped } = await seal(keys, binding, new Redacted(value));
      expect(ciphertext.byteLength).toBe(value.byteLength + 16);
      const stored =
        [nonce, ciphertext].map((bytes) => Buffer.from(bytes).toString("base64")).join(" ") + wrapped;
      for (const form of formsOf(value)) expect(stored).not.toContain(form);
      expect(Buffer.from(ciphertext).includes(Buffer.from(value))).toBe(false);
    }),
    { numRuns: 40 },
  );
});

test("65,536 bytes seal and open, one more or none at all are refused", async () => {
  const largest = new Uint8Array(MAX_VALUE_BYTES).fill(7);
  expect((await open(keys, binding, await seal(keys, binding, new Redacted(largest)))).revealBytes()).toEqual(
    largest,
  );
  for (const size of [0, MAX_VALUE_BYTES + 1]) {
    const problem = await failure(seal(keys, binding, new Redacted(new Uint8Array(size))));
    expect(problem.code).toBe("VALIDATION_ERROR");
  }
});

test("one value sealed twice shares neither key nor nonce", async () => {
  const value = new Redacted("sk_live_the-same-value");
  const [a, b] = await Promise.all([seal(keys, binding, value), seal(keys, binding, value)]);
  expect(Buffer.from(a.nonce)).not.toEqual(Buffer.from(b.nonce));
  expect(Buffer.from(a.ciphertext)).not.toEqual(Buffer.from(b.ciphertext));
  await expectClosed(binding, { ...a, wrapped: b.wrapped });
});

describe("attack 70: parts of another envelope", () => {
  test.each<[string, Partial<Binding>]>([
    ["tenant", { tenantId: "ten_0000000000000002" }],
    ["path", { path: "production/stripe/OTHER" }],
    ["path that only shares its characters", { path: "production/stripe/KE" }],
    ["version", { version: 4 }],
  ])("an envelope does not open at another %s", async (_, other) => {
    const envelope = await seal(keys, binding, new Redacted("sk_live_canary"));
    await expectClosed({ ...binding, ...other }, envelope);
  });

  test.each<keyof Envelope>(["nonce", "ciphertext", "wrapped"])(
    "a swapped %s does not open",
    async (part) => {
      const other: Binding = { ...binding, tenantId: "ten_0000000000000002", path: "a/b", version: 1 };
      const mine = await seal(keys, binding, new Redacted("sk_live_canary"));
      const theirs = await seal(keys, other, new Redacted("sk_live_canary"));
      await expectClosed(binding, { ...mine, [part]: theirs[part] });
      await expectClosed(other, { ...theirs, [part]: mine[part] });
    },
  );

  test("a data key that is at hand does not open another's ciphertext either", async () => {
    const mine = await seal(keys, binding, new Redacted("sk_live_canary"));
    const other: Binding = { ...binding, version: 4 };
    const aad = new TextEncoder().encode(
      JSON.stringify(["valetkey secret", 1, binding.tenantId, binding.path, binding.version]),
    );
    const dek = await keys.unwrap(binding.tenantId, mine, aad);
    expect((await openWith(dek, binding, mine)).reveal()).toBe("sk_live_canary");
    expect((await failure(openWith(dek, other, mine))).code).toBe("INTERNAL");
  });
});

describe("attack 71: altered envelopes", () => {
  test("no bit of nonce, ciphertext, tag or wrapped key can be flipped", async () => {
    const envelope = await seal(keys, binding, new Redacted("sk_live_canary"));
    for (let bit = 0; bit < envelope.ciphertext.byteLength * 8; bit++) {
      await expectClosed(binding, { ...envelope, ciphertext: flip(envelope.ciphertext, bit) });
    }
    for (let bit = 0; bit < envelope.nonce.byteLength * 8; bit++) {
      await expectClosed(binding, { ...envelope, nonce: flip(envelope.nonce, bit) });
    }
    for (let bit = 0; bit < 60 * 8; bit += 3) {
      const wrapped = Buffer.from(flip(Buffer.from(envelope.wrapped, "base64"), bit)).toString("base64");
      await expectClosed(binding, { ...envelope, wrapped });
    }
  });

  test("truncated and extended parts do not open", async () => {
    const envelope = await seal(keys, binding, new Redacted("sk_live_canary"));
    for (let size = 0; size < envelope.ciphertext.byteLength; size++) {
      await expectClosed(binding, { ...envelope, ciphertext: envelope.ciphertext.subarray(0, size) });
    }
    for (const size of [0, 4, 8, 11]) {
      await expectClosed(binding, { ...envelope, nonce: envelope.nonce.subarray(0, size) });
    }
    const longer = Buffer.concat([envelope.ciphertext, Buffer.alloc(1)]);
    await expectClosed(binding, { ...envelope, ciphertext: longer });
    await expectClosed(binding, { ...envelope, nonce: Buffer.concat([envelope.nonce, Buffer.alloc(4)]) });
  });

  test("another format does not open, neither an older nor a newer one", async () => {
    const envelope = await seal(keys, binding, new Redacted("sk_live_canary"));
    for (const format of [0, -1, 2, 1.5, Number.NaN]) await expectClosed(binding, { ...envelope, format });
  });
});

test("attack 69: a key service that fails is a 503, and says nothing of why", async () => {
  const failing = new WatchedKeys();
  const envelope = await seal(failing, binding, new Redacted("sk_live_canary"));
  failing.failure = new Error("connection refused by kms.internal");
  for (const attempt of [
    open(failing, binding, envelope),
    seal(failing, binding, new Redacted("sk_live_canary")),
  ]) {
    const problem = await failure(attempt);
    expect(problem.code).toBe("UNAVAILABLE");
    expect(problem.message).not.toContain("kms");
  }
});

test("attack 69: a key service that does not answer is given up after 5 s", async () => {
  const slow = new WatchedKeys();
  const envelope = await seal(slow, binding, new Redacted("sk_live_canary"));
  slow.unwrap = () => new Promise(() => undefined);
  vi.useFakeTimers();
  try {
    let answer: Problem | undefined;
    const attempt = failure(open(slow, binding, envelope)).then((problem) => {
      answer = problem;
    });
    await vi.advanceTimersByTimeAsync(4_999);
    expect(answer).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    await attempt;
    expect(answer?.code).toBe("UNAVAILABLE");
  } finally {
    vi.useRealTimers();
  }
});
