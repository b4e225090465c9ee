/// <reference types="vite/types/importMeta.d.ts" />
import { describe, expect, test } from "vitest";
import { providers } from "../../../src/connections/providers.ts";
import type { TokenPlace } from "../../../src/connections/provider.ts";
import { parseCredential } from "../../../src/credentials/kinds.ts";
import { CANARY, occurrences, outgoing, secretsOf } from "../credentials/outgoing.ts";

const modules = import.meta.glob<Record<string, unknown>>("../../../src/connections/providers/*.ts", {
  eager: true,
});

const HOST = /^(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$/;

function covers(pattern: string, host: string): boolean {
  return pattern.startsWith("*.")
    ? host.endsWith(pattern.slice(1)) && host.length >= pattern.length
    : host === pattern;
}

/** Puts a client's token where the provider's SDK would. */
function place(tokenPlace: TokenPlace, token: string) {
  const request = outgoing({ path: "/v1/things", query: "a=1" });
  if (tokenPlace.in === "query") request.query += `&${tokenPlace.name}=${token}`;
  if (tokenPlace.in === "path") request.path = `${tokenPlace.prefix}${token}/getMe`;
  if (tokenPlace.in === "header") {
    const value = tokenPlace.scheme === "Basic" ? Buffer.from(`${token}:`).toString("base64") : token;
    request.headers.set(tokenPlace.name, tokenPlace.scheme ? `${tokenPlace.scheme} ${value}` : value);
  }
  return request;
}

/** The place a parsed credential takes, in the words of `tokenIn`. */
function placeOf(credential: Readonly<Record<string, unknown>>): string {
  switch (credential["kind"]) {
    case "bearer":
    case "basic":
      return "header authorization";
    case "header":
      return `header ${String(credential["name"]).toLowerCase()}`;
    case "query":
      return `query ${String(credential["name"])}`;
    case "path":
      return `path ${String(credential["prefix"])}`;
    default:
      return "elsewhere";
  }
}

test("every file in providers/ declares the one provider of its name, and the catalogue holds them all", () => {
  const declared = Object.entries(modules).map(([file, module]) => {
    const exported = Object.values(module);
    expect(exported, file).toHaveLength(1);
    const id = file.replace(/^.*\/(.+)\.ts$/, "$1");
    expect(providers.get(id), file).toBe(exported[0]);
    return id;
  });
  expect(declared.toSorted()).toEqual([...providers.keys()].toSorted());
  expect(providers.size).toBeGreaterThanOrEqual(24);
});

test("names are unique, so that a list of them can be read", () => {
  expect(new Set([...providers.values()].map(({ name }) => name)).size).toBe(providers.size);
});

describe.each([...providers])("%s", (id, provider) => {
  const { kind, options } = parseCredential(provider.credential);
  const secrets = secretsOf(Object.fromEntries(kind.secretNames(options).map((name) => [name, CANARY])));

  test("is data: nothing but JSON", () => {
    expect(JSON.parse(JSON.stringify(provider))).toEqual(provider);
    expect(provider.id).toBe(id);
    expect(id).toMatch(/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/);
  });

  test("has a base URL on one of its own hosts, or hosts of its customers", () => {
    expect(provider.hosts.length).toBeGreaterThan(0);
    for (const host of provider.hosts) expect(host).toMatch(HOST);
    if (provider.baseUrl === null) {
      expect(provider.hosts.every((host) => host.startsWith("*."))).toBe(true);
      return;
    }
    const url = new URL(provider.baseUrl);
    expect(`https://${url.host}`).toBe(provider.baseUrl);
    expect(provider.hosts.some((host) => covers(host, url.hostname))).toBe(true);
  });

  test("attack 3: a wildcard stands below a registered name, never below a top-level domain", () => {
    for (const host of provider.hosts)
      expect(host.replace("*.", "").split(".").length).toBeGreaterThanOrEqual(2);
  });

  test("tells where its documentation is and how to try a credential", () => {
    const docs = new URL(provider.docs);
    expect(docs.protocol).toBe("https:");
    expect(provider.probe.path).toMatch(/^\/[^/#\s][^#\s]*$/);
    expect(["GET", "POST", "HEAD"]).toContain(provider.probe.method);
  });

  test("finds an agent's token where its SDKs put a key, among others where the key itself goes", () => {
    const places = provider.tokenIn.map((where) =>
      where.in === "path" ? `path ${where.prefix}` : `${where.in} ${where.name}`,
    );
    for (const where of provider.tokenIn)
      if (where.in === "header") expect(where.name).toBe(where.name.toLowerCase());
    expect(places).toContain(placeOf(provider.credential));
    expect(new Set(provider.tokenIn.map((where) => JSON.stringify(where))).size).toBe(
      provider.tokenIn.length,
    );
  });

  test("attaches the credential once per secret, where it is declared", () => {
    const request = outgoing({ path: "/v1/things", query: "a=1" });
    kind.inject(request, options, secrets);
    expect(occurrences(request, CANARY)).toBe(Object.keys(secrets).length);
    const [where, name] = placeOf(provider.credential).split(" ");
    if (where === "header") expect(request.headers.has(name ?? "")).toBe(true);
    if (where === "query") expect(new URLSearchParams(request.query).get(name ?? "")).toBe(CANARY);
    if (where === "path") expect(request.path.startsWith(`${name}${CANARY}/`)).toBe(true);
  });

  test("attack 32: a client's own key in the credential's place is gone before the credential is put there", () => {
    for (const where of provider.tokenIn) {
      const request = place(where, "evil0123456789");
      kind.strip(request, options);
      const [taken, name] = placeOf(provider.credential).split(" ");
      const same = where.in === "path" ? taken === "path" : taken === where.in && name === where.name;
      if (same) expect(occurrences(request, "evil0123456789")).toBe(0);
    }
  });

  test("default headers are lower-case, hold no credential and do not collide with it", () => {
    for (const [name, value] of Object.entries(provider.defaultHeaders ?? {})) {
      expect(name).toBe(name.toLowerCase());
      expect(`header ${name}`).not.toBe(placeOf(provider.credential));
      expect(value).toMatch(/^[\x21-\x7e][\x20-\x7e]*$/);
    }
  });
});
