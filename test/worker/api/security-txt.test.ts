import { describe, expect, test } from "vitest";
import { securityTxt } from "../../../src/api/security-txt.ts";
import { send } from "./door.ts";

const ORIGIN = "https://gateway.example.com";
const NOW = Date.parse("2026-11-22T00:00:00Z");
const GOOD = {
  SECURITY_CONTACT: "mailto:security@example.com, https://example.com/report",
  SECURITY_EXPIRES: "2027-01-31",
};

describe("security.txt", () => {
  test("names the contacts, until when it holds, and where it belongs (RFC 9116)", () => {
    expect(securityTxt(GOOD, ORIGIN, NOW)).toBe(
      "Contact: mailto:security@example.com\nContact: https://example.com/report\nExpires: 2027-01-31T00:00:00.000Z\nCanonical: https://gateway.example.com/.well-known/security.txt\n",
    );
  });

  test("is not there where nothing is set, nor once it has expired", async () => {
    expect(securityTxt({}, ORIGIN, NOW)).toBeNull();
    expect(securityTxt(GOOD, ORIGIN, Date.parse("2027-01-31"))).toBeNull();
    const answer = await send("GET", "/.well-known/security.txt");
    expect([answer.status, answer.body.error.code]).toEqual([404, "NOT_FOUND"]);
  });

  test.each([
    { ...GOOD, SECURITY_CONTACT: "security@example.com" },
    { ...GOOD, SECURITY_CONTACT: "mailto:a@example.com\nContact: mailto:evil@example.com" },
    { ...GOOD, SECURITY_CONTACT: "http://example.com" },
    { ...GOOD, SECURITY_EXPIRES: "next year" },
    { SECURITY_CONTACT: GOOD.SECURITY_CONTACT },
    { SECURITY_EXPIRES: GOOD.SECURITY_EXPIRES },
  ])("of $SECURITY_CONTACT and $SECURITY_EXPIRES is none", (settings) => {
    expect(() => securityTxt(settings, ORIGIN, NOW)).toThrow("SECURITY_CONTACT");
  });
});
