import { describe, expect, test } from "vitest";
import { parseCredential } from "../../../src/credentials/kinds.ts";
import { CANARY, occurrences, outgoing, problemOf, secretsOf } from "./outgoing.ts";

function attach(credential: unknown, request = outgoing(), secret: string | Uint8Array = CANARY) {
  const { kind, options } = parseCredential(credential);
  kind.strip(request, options);
  kind.inject(request, options, secretsOf({ secret }));
  return request;
}

describe("bearer", () => {
  test("attaches Authorization: Bearer, or the provider's own scheme", () => {
    expect(attach({ kind: "bearer" }).headers.get("authorization")).toBe(`Bearer ${CANARY}`);
    expect(attach({ kind: "bearer", prefix: "Bot" }).headers.get("authorization")).toBe(`Bot ${CANARY}`);
  });

  test("attack 32: a client's own Authorization is gone in every case, separator and number", () => {
    const request = outgoing();
    request.headers.append("AUTHORIZATION", "Bearer evil");
    request.headers.append("authorization", "Basic evil");
    request.headers.append("Authorization", "evil");
    expect([...attach({ kind: "bearer" }, request).headers]).toEqual([["authorization", `Bearer ${CANARY}`]]);
  });

  test.each(["", "Bearer ", "a b", "x\r\ny", "ü", "Bearer:"])("refuses %j as a scheme", (prefix) => {
    expect(problemOf(() => parseCredential({ kind: "bearer", prefix })).options.errors?.[0]?.path).toBe(
      "credential.prefix",
    );
  });
});

describe("header", () => {
  test("attaches the header in the format given", () => {
    const plain = attach({ kind: "header", name: "X-Api-Key" });
    expect(plain.headers.get("x-api-key")).toBe(CANARY);
    const formatted = attach({ kind: "header", name: "Authorization", format: "Token token={secret}, v=1" });
    expect(formatted.headers.get("authorization")).toBe(`Token token=${CANARY}, v=1`);
  });

  test("a secret with replacement patterns arrives as it is", () => {
    const request = attach(
      { kind: "header", name: "X-Api-Key", format: "<{secret}>" },
      outgoing(),
      "a$&b$'c$$d{secret}",
    );
    expect(request.headers.get("x-api-key")).toBe("<a$&b$'c$$d{secret}>");
  });

  test.each(["x-api-key", "X-API-KEY", "X_Api_Key", "x_api-key", "x.api.key", "x~api!key"])(
    "attack 32: a client's %s never arrives beside the credential",
    (name) => {
      const request = outgoing({ headers: { "x-api-keys": "stays", "x-api": "stays" } });
      request.headers.append(name, "evil");
      request.headers.append(name, "evil2");
      attach({ kind: "header", name: "X-Api-Key" }, request);
      expect([...request.headers]).toEqual([
        ["x-api", "stays"],
        ["x-api-key", CANARY],
        ["x-api-keys", "stays"],
      ]);
    },
  );

  test.each([
    "Connection",
    "Keep-Alive",
    "Proxy-Authorization",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Host",
    "Content-Length",
    "content_length",
    "Cookie",
    "CF-Connecting-IP",
    "X-Valetkey-Token",
    "x_valetkey_token",
    "X-Forwarded-For",
    "Content-Type",
    "",
    "X Key",
    "X-Key:",
    "X-Key\r\nEvil",
    "X-Kéy",
    "x".repeat(65),
  ])("attack 30: %j is no name for a credential's header", (name) => {
    const problem = problemOf(() => parseCredential({ kind: "header", name }));
    expect(problem.code).toBe("VALIDATION_ERROR");
    expect(problem.options.errors?.[0]?.path).toBe("credential.name");
  });

  test.each([
    "",
    "no placeholder",
    "{secret}{secret}",
    "{secret}\r\nEvil: 1",
    "{secret}\0",
    "ü{secret}",
    " {secret}",
    "{secret} ",
  ])("attack 33: %j is no format", (format) => {
    const problem = problemOf(() => parseCredential({ kind: "header", name: "X-Api-Key", format }));
    expect(problem.options.errors?.[0]?.path).toBe("credential.format");
  });
});

describe("secrets in headers", () => {
  const unusable = [
    "\r",
    "\n",
    "\r\nEvil: 1",
    "\0",
    "\t",
    "\x01",
    "\x7f",
    "\u0085",
    "é",
    "\u2028",
    "🔑",
    " ",
  ];

  test.each(unusable.flatMap((bad) => [CANARY + bad, bad + CANARY]))(
    "attack 33: %j is refused and not repeated",
    (secret) => {
      for (const credential of [{ kind: "bearer" }, { kind: "header", name: "X-Api-Key" }]) {
        const problem = problemOf(() => attach(credential, outgoing(), secret));
        expect(problem.code).toBe("SECRET_UNUSABLE");
        expect(JSON.stringify([problem.message, problem.options])).not.toContain(CANARY);
      }
    },
  );

  test.each([`${CANARY}\r\n${CANARY}`, `${CANARY}\0${CANARY}`, `${CANARY}é${CANARY}`])(
    "attack 33: %j is refused",
    (secret) => {
      expect(problemOf(() => attach({ kind: "bearer" }, outgoing(), secret)).code).toBe("SECRET_UNUSABLE");
    },
  );

  test("attack 33: bytes that are not UTF-8 are refused", () => {
    const secret = new Uint8Array([0x61, 0xff, 0x62]);
    expect(problemOf(() => attach({ kind: "bearer" }, outgoing(), secret)).code).toBe("SECRET_UNUSABLE");
    expect(problemOf(() => attach({ kind: "basic", username: "me" }, outgoing(), secret)).code).toBe(
      "SECRET_UNUSABLE",
    );
  });
});

describe("basic", () => {
  const { kind } = parseCredential({ kind: "basic" });

  test("is base64 of username and password, both secret", () => {
    const { options } = parseCredential({ kind: "basic" });
    const secrets = secretsOf({ username: "Aladdin", password: "open sesame" });
    const request = outgoing();
    kind.inject(request, options, secrets);
    // RFC 7617, 2.
    expect(request.headers.get("authorization")).toBe("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    expect(kind.secretNames(options)).toEqual(["username", "password"]);
  });

  test("is UTF-8, as in RFC 7617, 2.1", () => {
    const request = attach({ kind: "basic", username: "test" }, outgoing(), "123£");
    expect(request.headers.get("authorization")).toBe("Basic dGVzdDoxMjPCow==");
  });

  test("a fixed username makes the password the one secret", () => {
    const { options } = parseCredential({ kind: "basic", username: "AC123" });
    expect(kind.secretNames(options)).toEqual(["secret"]);
    expect(kind.renderings(options, secretsOf({ secret: CANARY }))).toEqual([CANARY, `AC123:${CANARY}`]);
    expect(occurrences(attach({ kind: "basic", username: "AC123" }), `AC123:${CANARY}`)).toBe(1);
  });

  test("a fixed password makes the username the one secret", () => {
    const { options } = parseCredential({ kind: "basic", password: "" });
    expect(kind.renderings(options, secretsOf({ secret: CANARY }))).toEqual([CANARY, `${CANARY}:`]);
    expect(attach({ kind: "basic", password: "" }).headers.get("authorization")).toBe(
      `Basic ${Buffer.from(`${CANARY}:`).toString("base64")}`,
    );
  });

  test("attack 38: the rendered user:secret is named for redaction", () => {
    const { options } = parseCredential({ kind: "basic" });
    expect(kind.renderings(options, secretsOf({ username: "user", password: CANARY }))).toContain(
      `user:${CANARY}`,
    );
  });

  test("attack 33: a colon in the username and control characters anywhere are refused", () => {
    const { options } = parseCredential({ kind: "basic" });
    for (const pair of [
      { username: "a:b", password: CANARY },
      { username: "a\n", password: CANARY },
      { username: "a", password: `${CANARY}\0` },
    ]) {
      expect(problemOf(() => kind.inject(outgoing(), options, secretsOf(pair))).code).toBe("SECRET_UNUSABLE");
    }
    expect(problemOf(() => parseCredential({ kind: "basic", username: "a:b" })).code).toBe(
      "VALIDATION_ERROR",
    );
    expect(problemOf(() => parseCredential({ kind: "basic", username: "a", password: "b" })).code).toBe(
      "VALIDATION_ERROR",
    );
  });
});
