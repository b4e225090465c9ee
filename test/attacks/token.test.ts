import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { setTimeout as sleep } from "node:timers/promises";
import { decodeBase62, encodeBase62 } from "../../src/base/base62.ts";
import { checksum } from "../../src/base/crc32.ts";
import type { RawResponse } from "../support/raw.ts";
import { codeOf, type Lab, openLab } from "./support.ts";

let lab: Lab;

beforeAll(async () => {
  lab = await openLab(() => ({
    bearer: {},
    gemini: { provider: "gemini" },
    openai: { provider: "openai" },
    github: { provider: "github" },
    anthropic: { provider: "anthropic" },
  }));
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.upstream.requests.length = 0;
});

/** A token with some bytes of its payload changed and a checksum that is right again: only the tag tells. */
function forge(token: string, change: (payload: Uint8Array) => void): string {
  const payload = decodeBase62(token.slice("vkt_".length, -6));
  if (payload === null) throw new Error("not a token");
  change(payload);
  const text = `vkt_${encodeBase62(payload)}`;
  return text + checksum(text);
}

/** An answer without what differs between any two: the request's id and the time. */
function same({ status, headers, text }: RawResponse): string {
  const { request_id: _id, instance: _instance, ...body } = JSON.parse(text);
  const own = headers.filter(([name]) => !/^(x-request-id|date)$/i.test(name));
  return JSON.stringify([status, own, body]);
}

test("attack 50: a token in a URL where the provider does not declare it is refused, not sent on, not logged", async () => {
  const { tenant, gateway } = lab;
  const { token, tokenId } = await tenant.issue(["connections:call:*"]);
  for (const target of [
    `/proxy/bearer/x?key=${token}`,
    `/proxy/bearer/x?access_token=${token}&a=b`,
    `/proxy/bearer/${token}/x`,
    `/proxy/gemini/v1/models?api_key=${token}`,
  ]) {
    for (const authorization of [null, `Bearer ${token}`]) {
      const answer = await lab.send(target, { authorization });
      expect([answer.status, codeOf(answer)], target).toEqual([401, "UNAUTHORIZED"]);
      expect(answer.wire.toString()).not.toContain(token);
    }
  }
  expect(lab.upstream.requests).toEqual([]);
  expect(await tenant.uses(tokenId)).toBe(0);
  expect(gateway.logs()).not.toContain(token.slice(0, 40));
  const { events } = await tenant.admin.must("GET", "/v1/audit?limit=200");
  expect(JSON.stringify(events)).not.toContain(token.slice(0, 40));
});

test("attack 50: where the provider declares it, a token in the query is taken off before anything leaves", async () => {
  const answer = await lab.send(`/proxy/gemini/v1/models?pageSize=3&key=${lab.token}`, {
    authorization: null,
  });
  expect(answer.status).toBe(200);
  const { head, target } = lab.upstream.last();
  expect(target).toBe("/v1/models?pageSize=3");
  expect(head).not.toContain("vkt_");
});

/** A token in every place and scheme that some SDK or other puts its key in, as lines of a request or in its URL. */
const PLACES: Readonly<Record<string, (token: string) => { headers?: string[]; suffix?: string }>> = {
  Bearer: (token) => ({ headers: [`Authorization: Bearer ${token}`] }),
  "Basic user": (token) => ({ headers: [`Authorization: Basic ${btoa(`${token}:`)}`] }),
  "Basic password": (token) => ({ headers: [`Authorization: Basic ${btoa(`api:${token}`)}`] }),
  token: (token) => ({ headers: [`Authorization: Token ${token}`] }),
  Bot: (token) => ({ headers: [`Authorization: Bot ${token}`] }),
  DPoP: (token) => ({ headers: [`Authorization: DPoP ${token}`] }),
  Digest: (token) => ({ headers: [`Authorization: Digest ${token}`] }),
  "no scheme": (token) => ({ headers: [`Authorization: ${token}`] }),
  "x-api-key": (token) => ({ headers: [`x-api-key: ${token}`] }),
  "api-key": (token) => ({ headers: [`api-key: ${token}`] }),
  "x-goog-api-key": (token) => ({ headers: [`x-goog-api-key: ${token}`] }),
  "private-token": (token) => ({ headers: [`private-token: ${token}`] }),
  "x-other": (token) => ({ headers: [`x-other: ${token}`] }),
  "?key=": (token) => ({ suffix: `?key=${token}` }),
  "?api_key=": (token) => ({ suffix: `?api_key=${token}` }),
  "in the path": (token) => ({ suffix: `/bot${token}/y` }),
};

test.each([
  ["openai", ["Bearer"]],
  ["anthropic", ["Bearer", "x-api-key"]],
  ["github", ["Bearer", "token", "Basic user", "Basic password"]],
  ["gemini", ["Bearer", "x-goog-api-key", "?key="]],
])(
  "attack 51: %s takes a token by %j, and in any other place or scheme it is refused and nothing is sent",
  async (slug, declared) => {
    const { token, tokenId } = await lab.tenant.issue(["connections:call:*"]);
    for (const [place, at] of Object.entries(PLACES)) {
      lab.upstream.requests.length = 0;
      const before = await lab.tenant.uses(tokenId);
      const { headers = [], suffix = "" } = at(token);
      const answer = await lab.send(`/proxy/${slug}/x${suffix}`, { authorization: null, headers });
      const isDeclared = declared.includes(place);
      expect(answer.status, place).toBe(isDeclared ? 200 : 401);
      if (!isDeclared) expect(codeOf(answer), place).toBe("UNAUTHORIZED");
      expect(lab.upstream.requests.length, place).toBe(isDeclared ? 1 : 0);
      expect((await lab.tenant.uses(tokenId)) - before, place).toBe(isDeclared ? 1 : 0);
      if (isDeclared) expect(lab.upstream.last().head, place).not.toContain("vkt_");
    }
  },
);

test("attack 51: beside the provider's own place another one changes nothing, and goes no further", async () => {
  for (const own of [`Authorization: Bearer ${lab.token}`, `X-Valetkey-Token: ${lab.token}`]) {
    const headers = [own, `x-api-key: ${lab.token}`, `api-key: ${lab.token}`];
    const answer = await lab.send("/proxy/openai/x", { authorization: null, headers });
    expect(answer.status, own.slice(0, 13)).toBe(200);
    expect(lab.upstream.last().head).not.toContain("vkt_");
  }
});

test("attack 57: malformed, unknown, forged, revoked and expired tokens cannot be told apart", async () => {
  const { tenant } = lab;
  const scopes = ["connections:call:*", "secrets:read:*", "namespaces:read"];
  const good = await tenant.issue(scopes);
  const [revoked, known] = [await tenant.issue(scopes), await tenant.issue(scopes)];
  // One of the two has been used: the gateway has its grant at hand.
  await lab.send("/proxy/bearer/x", { authorization: `Bearer ${known.token}` });
  for (const { tokenId } of [revoked, known]) await tenant.admin.must("DELETE", `/v1/tokens/${tokenId}`);
  lab.upstream.requests.length = 0;
  const expired = await tenant.token(scopes, { ttl: "1s" });
  await sleep(2_100);
  const attempts = [
    "",
    "vkt_",
    "vkt_x",
    "sk_live_51Habcdefghijklmnop",
    `${good.token}x`,
    good.token.slice(0, -1),
    good.token.toUpperCase(),
    good.token.replace("vkt_", "vka_"),
    forge(good.token, (payload) => payload.fill(7, 12, 24)),
    forge(good.token, (payload) => payload.fill(255, 24, 28)),
    forge(good.token, (payload) => payload.fill(0, 28)),
    forge(good.token, (payload) => void (payload[1] = 2)),
    forge(good.token, (payload) => void (payload[0] = 0)),
    revoked.token,
    known.token,
    expired,
  ];
  const targets = [
    "/proxy/bearer/x",
    "/proxy/absent/x",
    "/v1/me",
    "/v1/providers",
    "/v1/namespaces",
    "/v1/connections",
    "/v1/secrets/test/bearer/KEY",
    "/v1/secrets/test/bearer/KEY?bad=1",
  ];
  for (const target of targets) {
    const answers = new Set<string>();
    for (const token of attempts) {
      const answer = await lab.send(target, { authorization: `Bearer ${token}` });
      expect(answer.status, `${target} ${token.length}`).toBe(401);
      answers.add(same(answer));
    }
    expect([...answers], target).toHaveLength(1);
  }
  expect(lab.upstream.requests).toEqual([]);
  expect((await lab.send("/proxy/bearer/x", { authorization: `Bearer ${good.token}` })).status).toBe(200);
});
