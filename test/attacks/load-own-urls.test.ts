import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { reply } from "../support/hostile-upstream.ts";
import { CANARY, type Lab, openLab } from "./support.ts";

/* A provider whose answers name its own host: an SDK that follows them would take its token there. */

let lab: Lab;

beforeAll(async () => {
  lab = await openLab(({ url }) => ({ bearer: {}, based: { base_url: `${url}/api/v2` } }), {
    hosts: ["bearer"],
  });
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.upstream.requests.length = 0;
});

const OWN: readonly (readonly [header: string, value: string, seen: string])[] = [
  [
    "Link",
    '<{own}/api/v2/items?page=2>; rel="next", <{own}/api/v2/items?page=9>; rel="last"',
    '<{gw}/items?page=2>; rel="next", <{gw}/items?page=9>; rel="last"',
  ],
  ["Location", "{own}/api/v2/jobs/7", "{gw}/jobs/7"],
  ["Location", "{OWN}/api/v2/jobs/7#done", "{gw}/jobs/7#done"],
  ["Location", "//{authority}/api/v2/jobs/7", "{gw}/jobs/7"],
  ["Location", "http://someone@{authority}/api/v2/jobs/7", "{gw}/jobs/7"],
  ["Content-Location", "{own}/api/v2", "{gw}"],
  ["X-Goog-Upload-URL", "{own}/api/v2/upload?id=1", "{gw}/upload?id=1"],
  ["Operation-Location", "{own}/api/v2/operations/1", "{gw}/operations/1"],
  ["Refresh", "5; url={own}/api/v2/wait", "5; url={gw}/wait"],
  ["Location", "/api/v2/jobs/7", "{gw}/jobs/7"],
  ["Link", '</api/v2/items?page=2>; rel="next"', '<{gw}/items?page=2>; rel="next"'],
  // Not below the base URL, or another's: as they came.
  ["Location", "{own}/api/v20/jobs", "{own}/api/v20/jobs"],
  ["Location", "{own}/admin", "{own}/admin"],
  ["Location", "{own}.evil.example/api/v2/x", "{own}.evil.example/api/v2/x"],
  ["Location", "http://{authority}@evil.example/api/v2/x", "http://{authority}@evil.example/api/v2/x"],
];

describe("a provider's own absolute URL stays behind the gateway", () => {
  const fill = (template: string) =>
    template
      .replaceAll("{own}", lab.upstream.url)
      .replaceAll("{OWN}", lab.upstream.url.toUpperCase())
      .replaceAll("{authority}", lab.upstream.authority)
      .replaceAll("{gw}", `${lab.gateway.url}/proxy/based`);

  test.each(OWN)("attack 92: %s: %s", async (header, value, seen) => {
    lab.upstream.answer = () => reply("200 OK", [[header, fill(value)]], "{}");
    const answer = await lab.send("/proxy/based/items");
    expect(answer.header(header)).toEqual([fill(seen)]);
  });

  test("attack 92: an SDK that follows the link shows its token to the gateway and never to the provider", async () => {
    lab.upstream.answer = () =>
      reply("200 OK", [["Link", `<${lab.upstream.url}/api/v2/items?page=2>; rel="next"`]], "{}");
    const first = await fetch(`${lab.gateway.url}/proxy/based/items`, {
      headers: { authorization: `Bearer ${lab.token}` },
    });
    const next = /<([^>]*)>/.exec(first.headers.get("link") ?? "")?.[1] ?? "";
    await fetch(next, { headers: { authorization: `Bearer ${lab.token}` } });
    expect(lab.upstream.requests.map(({ target }) => target)).toEqual([
      "/api/v2/items",
      "/api/v2/items?page=2",
    ]);
    for (const request of lab.upstream.requests) {
      expect(request.header("authorization")).toEqual([`Bearer ${CANARY}`]);
      expect(request.head).not.toContain(lab.token);
    }
  });

  test("attack 92: behind a host of the connection's own, links lead to that host", async () => {
    const own = lab.gateway.hosts["bearer"] ?? "";
    lab.upstream.answer = () => reply("201 Created", [["Location", `${lab.upstream.url}/v1/charges/1`]]);
    const answer = await lab.send("/v1/charges", { port: Number(new URL(own).port) });
    expect(answer.header("location")).toEqual([`${own}/v1/charges/1`]);
  });
});
