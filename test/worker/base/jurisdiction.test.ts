import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { idSchema, newId } from "../../../src/base/ids.ts";
import {
  type Jurisdiction,
  JURISDICTIONS,
  jurisdictionOf,
  newTenantId,
  newTokenId,
} from "../../../src/base/jurisdiction.ts";
import { type Homes, objectIdFor } from "../../../src/base/object-ids.ts";
import { isCredential, newCredential } from "../../../src/identity/credential.ts";
import { TokenSigner } from "../../../src/tokens/token.ts";

afterEach(() => vi.restoreAllMocks());

const signer = new TokenSigner((env as Env).TOKEN_SIGNING_KEYS);
const expiresAt = 4_000_000_000_000;

/** A platform that keeps objects where it is told: it says where each was made. */
function homes(made: string[], at = "anywhere"): Homes {
  return {
    idFromName(name) {
      made.push(`${at} ${name}`);
      return {} as DurableObjectId;
    },
    jurisdiction: (jurisdiction) => homes(made, jurisdiction),
  };
}

describe.each<Jurisdiction | null>([null, ...JURISDICTIONS])("jurisdiction %s", (jurisdiction) => {
  const tenantId = newTenantId(jurisdiction);
  const tokenId = newTokenId(tenantId);

  test("stands in the ids, which their schemas take", () => {
    expect([tenantId, tokenId].map(jurisdictionOf)).toEqual([jurisdiction, jurisdiction]);
    expect(idSchema("tenant").parse(tenantId)).toBe(tenantId);
    expect(idSchema("token").parse(tokenId)).toBe(tokenId);
  });

  test("is carried by a token and comes out of it as it went in", () => {
    const claims = { tenantId, tokenId, expiresAt };
    expect(signer.verify(signer.issue(claims), () => 0)).toEqual(claims);
  });

  test("stands in a credential, whose checksum covers it", () => {
    const key = newCredential("vka", jurisdiction).reveal();
    expect(jurisdictionOf(key)).toBe(jurisdiction);
    expect(isCredential("vka", key)).toBe(true);
    for (const other of ["", "_eu", "_fedramp", "_us"].map((place) =>
      key.replace(/^vka(_eu|_fedramp)?/, `vka${place}`),
    )) {
      expect(isCredential("vka", other), other).toBe(other === key);
    }
  });

  test("is where its objects are made", () => {
    const made: string[] = [];
    objectIdFor(homes(made), "production", tenantId);
    objectIdFor(homes(made), "production", tokenId);
    const place = jurisdiction ?? "anywhere";
    expect(made).toEqual([`${place} ${tenantId}`, `${place} ${tokenId}`]);
  });
});

test("of two tenants whose ids differ in the jurisdiction alone each has tokens of its own", () => {
  const plain = newTenantId(null);
  const eu = idSchema("tenant").parse(plain.replace("_", "_eu_"));
  const tokenId = newId("token");
  const claims = signer.verify(signer.issue({ tenantId: eu, tokenId, expiresAt }), () => 0);
  expect(claims?.tenantId).toBe(eu);
  expect(claims?.tenantId).not.toBe(plain);
});

test("an id with another place in it is none", () => {
  for (const id of [
    "ten_us_0123456789abcdef",
    "ten_eu0123456789abcdef",
    "ten_eu_eu_0123456789abcdef",
    "agt_eu_012345678901234567890123",
  ]) {
    expect(idSchema(id.startsWith("ten") ? "tenant" : "agent").safeParse(id).success, id).toBe(false);
  }
});

test("where the platform knows no jurisdictions nothing is made, but in development, which is told once", () => {
  const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const namespace = (env as Env).TENANT_GATE;
  const tenantId = newTenantId("fedramp");
  expect(() => objectIdFor(namespace, "production", tenantId)).toThrow("cannot keep");
  expect(() => objectIdFor(namespace, "", tenantId)).toThrow("cannot keep");
  expect(logged).not.toHaveBeenCalled();
  objectIdFor(namespace, "development", tenantId);
  objectIdFor(namespace, "development", tenantId);
  expect(logged.mock.calls.length).toBeLessThanOrEqual(1);
});
