import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { idFromBytes } from "../../../src/base/ids.ts";
import { checkBasic, checkBearer, checkFind } from "../../fuzz/targets/credentials.ts";
import { checkMutation, checkPayload, checkToken, CLAIMS, signer, TOKEN } from "../../fuzz/targets/token.ts";

const runs = { numRuns: 1_000, seed: 20_261_122 };
const OTHER = `vkt_${"Z".repeat(96)}`;

const edits = fc.array(fc.tuple(fc.nat(255), fc.nat(0x2ff)), { minLength: 1, maxLength: 4 });
/** Text of which some is a token. */
const spoken = fc
  .array(
    fc.oneof(
      fc.constantFrom(TOKEN, OTHER, "vkt_", "Bearer ", "Basic ", "token ", "bot", "/", "=", "&", ":", " "),
      fc.string({ maxLength: 4 }),
    ),
    {
      maxLength: 5,
    },
  )
  .map((parts) => parts.join(""));

describe("attack 57: a token", () => {
  it("is read as what it was issued for", () => {
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
    fc.assert(
      fc.property(bytes(8), bytes(12), fc.integer({ min: 1, max: 0xffff_fffe }), (tenant, token, seconds) => {
        const claims = {
          tenantId: idFromBytes("tenant", tenant),
          tokenId: idFromBytes("token", token),
          expiresAt: seconds * 1000,
        };
        const text = signer.issue(claims);
        expect(text).toMatch(/^vkt_[0-9A-Za-z]{96}$/);
        expect(signer.verify(text, () => 0)).toEqual(claims);
        expect(signer.verify(text, () => claims.expiresAt)).toBeNull();
      }),
      runs,
    );
    expect(signer.verify(TOKEN, () => 0)).toEqual(CLAIMS);
  });

  it("is refused with any character, or any byte of its payload, changed, and never throws", () => {
    fc.assert(fc.property(edits, checkMutation), runs);
    fc.assert(fc.property(fc.uint8Array({ minLength: 60, maxLength: 60 }), checkPayload), runs);
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 120 }), checkToken), runs);
    for (let at = 0; at <= TOKEN.length; at++) {
      checkToken(TOKEN.slice(0, at) + TOKEN.slice(at + 1) || "x");
      checkToken(`${TOKEN.slice(0, at)}A${TOKEN.slice(at)}`);
    }
  });
});

describe("attacks 34, 50: of a request's tokens", () => {
  it("one is found, two different ones are refused, and none goes on in the URL", () => {
    fc.assert(
      fc.property(spoken, spoken, spoken, spoken, (authorization, other, path, query) =>
        checkFind(authorization, other, `/${path}`, query),
      ),
      runs,
    );
  });

  it("Bearer and Basic are read as they were written", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), checkBearer), runs);
    fc.assert(
      fc.property(spoken, (text) => checkBearer(`bearer  ${text}`)),
      runs,
    );
    fc.assert(fc.property(spoken, spoken, checkBasic), runs);
  });
});
