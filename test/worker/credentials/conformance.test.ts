/// <reference types="vite/types/importMeta.d.ts" />
import { describe, expect, test } from "vitest";
import { providers } from "../../../src/connections/providers.ts";
import type { CredentialKind, Outgoing } from "../../../src/credentials/kind.ts";
import { credentialKinds, parseCredential } from "../../../src/credentials/kinds.ts";
import { CANARY, occurrences, outgoing, problemOf, secretsOf, wire } from "./outgoing.ts";

const files = Object.keys(import.meta.glob("../../../src/credentials/kinds/*.ts"));

/** Options no provider uses yet. Every kind is in here or in a provider; a test below sees to it. */
const SAMPLES: readonly Readonly<Record<string, unknown>>[] = [
  { kind: "body", field: "api_key" },
  { kind: "basic", username: "account" },
  { kind: "basic", password: "" },
  { kind: "header", name: "X_Legacy_Key", format: "Key={secret};v=1" },
  { kind: "path", prefix: "/v3/" },
];

const credentials = new Map(
  [...SAMPLES, ...[...providers.values()].map(({ credential }) => credential)].map((credential) => [
    JSON.stringify(credential),
    credential,
  ]),
);

const requests: Readonly<Record<string, () => Outgoing>> = {
  "a JSON call": () =>
    outgoing({
      path: "/v1/things/a%20b",
      query: "a=1&a=2&b=%C3%A9+&&c",
      headers: { "content-type": "application/json", accept: "*/*", "x-other": "1" },
      body: ' {"a": 1.50, "a":[{"b":"é\\u00e9"}] }\n',
    }),
  "a form call": () =>
    outgoing({
      path: "/2010-04-01/things.json",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: "To=%2B1&Body=a+b&Body=c",
    }),
};

/** A value for every secret the kind needs, each of them different. */
function secretsFor(kind: CredentialKind, options: unknown, value: string) {
  return secretsOf(
    Object.fromEntries(kind.secretNames(options).map((name, index) => [name, value + "x".repeat(index)])),
  );
}

test("every file in kinds/ is registered under its own name", () => {
  const names = files.map((file) => file.replace(/^.*\/(.+)\.ts$/, "$1"));
  expect(names.toSorted()).toEqual([...credentialKinds.keys()].toSorted());
});

test("every kind is tried with some options", () => {
  const tried = new Set([...credentials.values()].map(({ kind }) => kind));
  expect([...credentialKinds.keys()].filter((kind) => !tried.has(kind))).toEqual([]);
});

describe.each([...credentials])("%s", (_, credential) => {
  const { kind, options } = parseCredential(credential);
  const names = kind.secretNames(options);

  test("an unknown option is refused", () => {
    expect(problemOf(() => parseCredential({ ...credential, surprise: 1 })).code).toBe("VALIDATION_ERROR");
  });

  test("parsing what was parsed changes nothing, so that options can be stored", () => {
    expect(parseCredential({ kind: kind.kind, ...(options as object) }).options).toEqual(options);
  });

  test.each(Object.entries(requests))("%s carries each secret exactly once", (_name, request) => {
    const sent = request();
    kind.strip(sent, options);
    kind.inject(sent, options, secretsFor(kind, options, CANARY));
    expect(occurrences(sent, CANARY)).toBe(names.length);
  });

  test.each(Object.entries(requests))("%s without attempts passes strip unchanged", (_name, request) => {
    const sent = request();
    kind.strip(sent, options);
    expect(wire(sent)).toBe(wire(request()));
  });

  test.each(Object.entries(requests))(
    "attack 32: %s that already carries a credential of the client's loses it",
    (_name, request) => {
      const clean = request();
      const attacked = request();
      kind.inject(attacked, options, secretsFor(kind, options, "evil0evil1evil2evil3"));
      expect(occurrences(attacked, "evil0")).toBe(names.length);
      kind.strip(attacked, options);
      expect(wire(attacked)).toBe(wire(clean));
      kind.strip(attacked, options);
      expect(wire(attacked)).toBe(wire(clean));
      kind.inject(clean, options, secretsFor(kind, options, CANARY));
      kind.inject(attacked, options, secretsFor(kind, options, CANARY));
      expect(wire(attacked)).toBe(wire(clean));
    },
  );

  test.each(["\r\nEvil: 1", "\n", "\0", "\u0085", "\x1b"])(
    "attack 33: a secret with %j is refused or encoded",
    (bad) => {
      const sent = requests["a JSON call"]!();
      const before = wire(sent).split(bad).length;
      try {
        kind.inject(sent, options, secretsFor(kind, options, CANARY + bad + CANARY));
      } catch (error) {
        expect(error).toMatchObject({ name: "Problem", code: "SECRET_UNUSABLE" });
        expect(occurrences(sent, CANARY)).toBe(0);
        return;
      }
      // JSON may hold U+0085 as it is (RFC 8259, 7); it ends no line there.
      if (!(kind.needsBody && bad === "\u0085")) expect(wire(sent).split(bad).length).toBe(before);
    },
  );

  test("a missing or empty secret is refused and nothing is attached", () => {
    const empty = secretsOf(Object.fromEntries(names.map((name) => [name, ""])));
    for (const secrets of [{}, empty]) {
      const sent = requests["a JSON call"]!();
      expect(problemOf(() => kind.inject(sent, options, secrets)).code).toBe("SECRET_UNUSABLE");
      expect(wire(sent)).toBe(wire(requests["a JSON call"]!()));
    }
  });

  test("attack 38: the renderings name every secret as it is, and none is empty", () => {
    const renderings = kind.renderings(options, secretsFor(kind, options, CANARY));
    for (const index of names.keys()) expect(renderings).toContain(CANARY + "x".repeat(index));
    expect(renderings.every((rendering) => rendering.includes(CANARY))).toBe(true);
  });

  test("only a kind that needs the body touches it", () => {
    const sent = requests["a JSON call"]!();
    const { body } = sent;
    kind.strip(sent, options);
    kind.inject(sent, options, secretsFor(kind, options, CANARY));
    expect(sent.body !== body).toBe(kind.needsBody);
  });
});

describe("parseCredential", () => {
  test.each([
    null,
    "bearer",
    [],
    {},
    { kind: 1 },
    { kind: "nothing" },
    { kind: "toString" },
    { kind: "__proto__" },
  ])("refuses %j", (input) => {
    const problem = problemOf(() => parseCredential(input));
    expect(problem.code).toBe("VALIDATION_ERROR");
    expect(problem.options.errors?.[0]?.path).toMatch(/^credential(\.kind)?$/);
  });

  test("attack 47: a secret pasted into the wrong field is not repeated", () => {
    for (const input of [
      { kind: CANARY },
      { kind: "bearer", prefix: `${CANARY} x` },
      { kind: "header", name: `${CANARY}:` },
    ]) {
      const problem = problemOf(() => parseCredential(input));
      expect(JSON.stringify([problem.message, problem.options])).not.toContain(CANARY);
    }
  });
});
