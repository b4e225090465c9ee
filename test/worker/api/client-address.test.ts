import { describe, expect, test } from "vitest";
import { clientAddress } from "../../../src/api/client-address.ts";

function request(headers: Record<string, string>, cf?: Record<string, unknown>): Request {
  return new Request("https://gateway.example/", { headers, ...(cf === undefined ? {} : { cf }) });
}

const SPOOFED = {
  "x-forwarded-for": "198.51.100.66",
  "true-client-ip": "198.51.100.66",
  "x-real-ip": "198.51.100.66",
  forwarded: "for=198.51.100.66",
  "x-client-ip": "198.51.100.66",
};

describe("attack 59: headers that a client can write", () => {
  test("attack 59: give no address where the platform tells none", () => {
    expect(clientAddress(request(SPOOFED), undefined)).toEqual({ address: null, shared: false });
    expect(clientAddress(request(SPOOFED), "socket")).toEqual({ address: null, shared: false });
  });

  test("attack 59: change nothing about the address that the edge tells", () => {
    const told = clientAddress(request({ ...SPOOFED, "cf-connecting-ip": "192.0.2.1" }), undefined);
    expect(told).toEqual({ address: "192.0.2.1", shared: false });
  });

  test("attack 59: behind a socket, CF-Connecting-IP is one of them", () => {
    const spoofed = request(
      { ...SPOOFED, "cf-connecting-ip": "198.51.100.66" },
      { clientIp: "192.0.2.1:5000" },
    );
    expect(clientAddress(spoofed, "socket").address).toBe("192.0.2.1");
    expect(clientAddress(request({ "cf-connecting-ip": "198.51.100.66" }), "socket").address).toBeNull();
  });

  test("attack 59: on the edge, no other place is believed", () => {
    expect(clientAddress(request({}, { clientIp: "192.0.2.1:5000" }), "cf-connecting-ip").address).toBeNull();
  });
});

describe("attack 60: one spelling of an address", () => {
  test.each([
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
  ])("attack 60: %s is %s", (header, address) => {
    expect(clientAddress(request({ "cf-connecting-ip": header }), undefined).address).toBe(address);
  });

  test.each([
    ["127.0.0.1:1234", "127.0.0.1"],
    ["[::1]:1234", "::1"],
    ["[::ffff:192.0.2.1]:80", "192.0.2.1"],
    ["127.0.0.1", "127.0.0.1"],
    ["::1", "::1"],
  ])("attack 60: the peer %s is %s", (peer, address) => {
    expect(clientAddress(request({}, { clientIp: peer }), "socket").address).toBe(address);
  });
});

describe("attack 61: what is no address is none", () => {
  test.each([
    "",
    "unknown",
    "192.0.2.1, 198.51.100.66",
    "192.0.2.1:80",
    "192.0.2.01",
    "0xC0000201",
    "3221225985",
    "192.0.2",
    "fe80::1%eth0",
    "192.0.2.0/24",
    "[2001:db8::1]",
  ])("attack 61: %j in the edge's header", (header) => {
    expect(clientAddress(request({ "cf-connecting-ip": header }), undefined).address).toBeNull();
  });

  test.each([["unix:/run/gateway.sock"], [""], ["[::1]"], ["127.0.0.1:"], ["127.0.0.1:x"], [42], [null]])(
    "attack 61: %j as the socket's peer",
    (peer) => {
      expect(clientAddress(request({}, { clientIp: peer }), "socket").address).toBeNull();
    },
  );

  test("attack 61: a place that does not exist tells none", () => {
    const told = request({ "cf-connecting-ip": "192.0.2.1" }, { clientIp: "192.0.2.1:5000" });
    expect(clientAddress(told, "x-forwarded-for").address).toBeNull();
    expect(clientAddress(told, "").address).toBeNull();
  });
});

describe("attack 62: requests that come from Workers", () => {
  test("attack 62: the shared address is nobody's", () => {
    for (const spelling of ["2a06:98c0:3600::103", "2A06:98C0:3600:0:0:0:0:0103"]) {
      expect(clientAddress(request({ "cf-connecting-ip": spelling }), undefined)).toEqual({
        address: "2a06:98c0:3600::103",
        shared: true,
      });
    }
  });

  test("attack 62: whatever a Worker sends is shared, under any address", () => {
    const sent = request({ "cf-worker": "attacker.example", "cf-connecting-ip": "192.0.2.1" });
    expect(clientAddress(sent, undefined)).toEqual({ address: "192.0.2.1", shared: true });
  });
});
