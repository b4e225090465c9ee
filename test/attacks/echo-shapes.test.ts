import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRedactor } from "../../src/gateway/redact/redactor.ts";
import { chunked, reply } from "../support/hostile-upstream.ts";
import { type Lab, openLab } from "./support.ts";

/* Credentials that are not the connection's own, in what its upstream returns (beside attacks 36 to 48). */

const KEYS = {
  stripe: "sk_live_51NaQbTcRdUeVfWgXhYiZjAk",
  github: "ghp_a1B2c3D4e5F6a1B2c3D4e5F6a1B2c3D4e5F6",
  aws: "AKIAIOSFODNN7EXAMPLE",
  google: `AIza${"b1".repeat(17)}c`,
  random: "wJalrXUtnFEMIK7MDENGbPxRfiCYzQ0p9n8o7m6l",
};
const PREFIX = /^(?:sk_live_|ghp_|AKIA|AIza)/;
const maskOf = (key: string): string =>
  key.replace(
    /^(sk_live_|ghp_|AKIA|AIza)?.*/,
    (_all, prefix = "") => prefix + "*".repeat(key.length - prefix.length),
  );
const BODY = JSON.stringify({ keys: KEYS, client_secret: "pi_3Mtw_secret_YrKJUKribcBjcG8HVhfZluoGH" });
const MASKED = Object.values(KEYS)
  .filter((key) => PREFIX.test(key))
  .reduce((text, key) => text.replace(key, maskOf(key)), BODY);

let lab: Lab;
beforeAll(async () => {
  lab = await openLab(() => ({
    up: {},
    off: { redact: { shapes: false } },
    strict: { redact: { entropy: true } },
  }));
});
afterAll(() => lab.close());

describe("credentials of known shapes in an answer", () => {
  test.each([
    ["with a length", () => reply("200 OK", [], BODY)],
    ["in chunks of 5 bytes", () => chunked([], BODY.match(/[^]{1,5}/g) ?? [])],
    ["in an error", () => reply("500 Internal Server Error", [], BODY)],
  ])("attack 40: are masked, their prefixes stay: %s", async (_how, answer) => {
    lab.upstream.answer = answer;
    expect((await lab.send("/proxy/up/config")).text).toBe(MASKED);
  });

  test("attack 20: also in headers", async () => {
    lab.upstream.answer = () => reply("200 OK", [["X-Debug", `key=${KEYS.github}`]], "ok");
    expect((await lab.send("/proxy/up/x")).header("x-debug")).toEqual([`key=${maskOf(KEYS.github)}`]);
  });

  test("pass where the connection turns it off", async () => {
    lab.upstream.answer = () => reply("200 OK", [], BODY);
    expect((await lab.send("/proxy/off/config")).text).toBe(BODY);
  });

  test("with what looks drawn at random, where the connection asks for that", async () => {
    lab.upstream.answer = () => reply("200 OK", [], BODY);
    expect((await lab.send("/proxy/strict/config")).text).not.toContain(KEYS.random.slice(0, 8));
  });
});

/** The examples in GitHub's API description, which their types quote: of every member of every answer and event. */
function examplesOf(name: string): string[] {
  const types = createRequire(import.meta.url).resolve(`${name}/package.json`);
  const text = readFileSync(path.join(path.dirname(types), "types.d.ts"), "utf8");
  return [...text.matchAll(/@example ([^\n]+)/g)].map(([, example = ""]) => example.replace(/\s*\*\/$/, ""));
}

describe("false positives", () => {
  test("in the examples of GitHub's API only sample tokens are masked", () => {
    const redactor = createRedactor([], { shapes: true, entropy: false, minted: true });
    const examples = ["@octokit/openapi-types", "@octokit/openapi-webhooks-types"].flatMap(examplesOf);
    expect(examples.length).toBeGreaterThan(4_000);
    const masked = examples.filter((example) => {
      const body = Buffer.from(JSON.stringify({ example }));
      return redactor.whole(body) !== body || redactor.text(example) !== example;
    });
    expect(masked.filter((example) => !/\bgh[opsu]_[A-Za-z0-9]{36}\b/.test(example))).toEqual([]);
  });
});
