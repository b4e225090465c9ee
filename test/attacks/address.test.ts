import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { sendRaw } from "../support/raw.ts";
import { codeOf, type Lab, openLab } from "./support.ts";

let lab: Lab;

beforeAll(async () => {
  lab = await openLab(() => ({ up: {} }));
});
afterAll(() => lab.close());
beforeEach(() => {
  lab.upstream.requests.length = 0;
});

/** `GET /proxy/up/x` from an address of this machine, with header lines of the client's choice. */
function callFrom(localAddress: string | undefined, token: string, lines: readonly string[] = []) {
  const port = lab.gateway.ports[0] ?? 0;
  const head = [
    `GET /proxy/up/x HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    `Authorization: Bearer ${token}`,
    ...lines,
  ];
  return sendRaw({
    port,
    bytes: `${head.join("\r\n")}\r\n\r\n`,
    ...(localAddress === undefined ? {} : { localAddress }),
  });
}

const tokenFor = (...cidrs: string[]) => lab.tenant.token(["connections:call:up"], { ip_allowlist: cidrs });

test.each([
  ["CF-Connecting-IP", "127.0.0.9"],
  ["X-Forwarded-For", "127.0.0.9"],
  ["X-Forwarded-For", "127.0.0.9, 10.0.0.1"],
  ["X_Forwarded_For", "127.0.0.9"],
  ["True-Client-IP", "127.0.0.9"],
  ["X-Real-IP", "127.0.0.9"],
  ["Forwarded", "for=127.0.0.9"],
  ["X-Client-IP", "127.0.0.9"],
  ["MF-CF-Blob", '{"clientIp":"127.0.0.9"}'],
  ["CF-Pseudo-IPv4", "127.0.0.9"],
])("attack 59: %s: %s moves no caller into an allowlist", async (name, value) => {
  const token = await tokenFor("127.0.0.9");
  const spoofed = await callFrom("127.0.0.7", token, [`${name}: ${value}`]);
  expect([spoofed.status, codeOf(spoofed)]).toEqual([403, "ADDRESS_DENIED"]);
  expect(lab.upstream.requests).toEqual([]);
  // Nor does it move one out of it.
  expect((await callFrom("127.0.0.9", token, [`${name}: 127.0.0.7`])).status).toBe(200);
});

test("attack 59: the ledger tells the socket's address, whatever the headers say", async () => {
  const token = await tokenFor("127.0.0.23");
  await callFrom("127.0.0.23", token, ["X-Forwarded-For: 203.0.113.9", "CF-Connecting-IP: 203.0.113.9"]);
  await expect
    .poll(
      async () => {
        const { events } = await lab.tenant.admin.must(
          "GET",
          "/v1/audit?event_type=connection.called&limit=50",
        );
        return events.some((event: { ip_address: string }) => event.ip_address === "127.0.0.23");
      },
      { timeout: 8_000 },
    )
    .toBe(true);
  const { events } = await lab.tenant.admin.must("GET", "/v1/audit?limit=200");
  expect(JSON.stringify(events)).not.toContain("203.0.113.9");
});

describe("attack 60: an address and a network have one meaning", () => {
  test.each([
    ["127.0.0.8/30", ["127.0.0.8", "127.0.0.11"], ["127.0.0.7", "127.0.0.12"]],
    ["127.0.0.5", ["127.0.0.5"], ["127.0.0.50", "127.0.0.6"]],
    ["127.16.0.0/12", ["127.16.0.1", "127.31.255.254"], ["127.15.255.254", "127.32.0.1"]],
  ])("attack 60: %s admits what lies in it and nothing beside it", async (cidr, inside, outside) => {
    const token = await tokenFor(cidr);
    for (const address of inside) expect((await callFrom(address, token)).status, address).toBe(200);
    for (const address of outside)
      expect(codeOf(await callFrom(address, token)), address).toBe("ADDRESS_DENIED");
  });

  test.each([
    "0.0.0.0/0",
    "127.0.0.1/0",
    "::/0",
    "127.0.0.1/8",
    "127.0.0.1/33",
    "127.0.0.1/08",
    "127.0.0.01",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "127.1",
    "2130706433",
    "::ffff:127.0.0.1",
    "::ffff:0.0.0.0/96",
    "fe80::1%eth0",
    "127.0.0.1:80",
    "127.0.0.1/32/32",
    "127.0.0.1 ",
    "",
  ])("attack 60: no token is issued for %j", async (cidr) => {
    const body = { scopes: ["connections:call:up"], ttl: "1m", ip_allowlist: [cidr] };
    const answer = await (await lab.tenant.agent()).call("POST", "/v1/tokens", { body });
    expect([answer.status, answer.body.error.code]).toEqual([400, "VALIDATION_ERROR"]);
  });
});

/* Where Cloudflare's edge says who calls, by a header that it overwrites: what reaches the Worker there. */
describe("behind the edge", () => {
  beforeAll(() => lab.gateway.restart({ CLIENT_ADDRESS: "cf-connecting-ip" }));
  afterAll(() => lab.gateway.restart({ CLIENT_ADDRESS: "socket" }));
  const callAs = (address: string, token: string, lines: readonly string[] = []) =>
    callFrom(undefined, token, [`CF-Connecting-IP: ${address}`, ...lines]);

  test.each([
    ["10.1.2.3", 200],
    ["::ffff:10.1.2.3", 200],
    ["::ffff:a01:203", 200],
    ["0:0:0:0:0:FFFF:0a01:0203", 200],
    ["10.1.3.3", 403],
    ["::ffff:10.1.3.3", 403],
    ["64:ff9b::10.1.2.3", 403],
    ["010.1.2.3", 403],
    ["10.1.2.03", 403],
    ["10.1.515", 403],
    ["0x0a010203", 403],
    ["10.1.2.3, 9.9.9.9", 403],
  ])("attack 60: from %s with the allowlist 10.1.2.0/24 a call answers %i", async (address, status) => {
    const token = await tokenFor("10.1.2.0/24");
    expect((await callAs(address, token)).status).toBe(status);
  });

  test("attack 60: IPv6 counts by its value, and not as IPv4", async () => {
    const token = await tokenFor("2001:db8:0:1::/64");
    expect((await callAs("2001:DB8:0000:0001:0:0:0:0001", token)).status).toBe(200);
    expect((await callAs("2001:db8:0:2::1", token)).status).toBe(403);
    expect((await callAs("32.1.13.184", token)).status).toBe(403);
  });

  test("attack 61: without an address nothing is called, allowlist or not", async () => {
    for (const token of [lab.token, await tokenFor("10.1.2.3"), await tokenFor("127.0.0.1")]) {
      for (const line of [
        "X-Nothing: 1",
        "CF-Connecting-IP: unknown",
        "CF-Connecting-IP: ",
        "X-Real-IP: 10.1.2.3",
      ]) {
        const answer = await callFrom("127.0.0.1", token, [line]);
        expect([answer.status, codeOf(answer)], line).toEqual([403, "ADDRESS_DENIED"]);
      }
    }
    expect(lab.upstream.requests).toEqual([]);
  });

  test("attack 62: a request that somebody's Worker sent matches no allowlist", async () => {
    const token = await tokenFor("2a06:98c0:3600::103", "203.0.113.7");
    for (const lines of [
      ["CF-Connecting-IP: 2a06:98c0:3600::103"],
      ["CF-Connecting-IP: 2A06:98C0:3600:0:0:0:0:0103"],
      ["CF-Connecting-IP: 203.0.113.7", "CF-Worker: evil.example"],
      ["CF-Connecting-IP: 203.0.113.7", "CF-Worker: "],
    ]) {
      const answer = await callFrom(undefined, token, lines);
      expect([answer.status, codeOf(answer)], lines.join()).toEqual([403, "ADDRESS_DENIED"]);
    }
    expect(lab.upstream.requests).toEqual([]);
    expect((await callAs("203.0.113.7", token)).status).toBe(200);
  });
});
