import { newId, type TenantId, type TokenId } from "./ids.ts";

/**
 * Where a tenant's data stay, all of them: its database, its objects. It stands in the tenant's id, its tokens' ids and
 * its credentials (`ten_eu_…`, `tok_eu_…`, `vka_eu_…`), and so is settled with the tenant's creation; whoever has one of
 * these knows where to look, and asks nowhere else. Null: anywhere.
 */
export type Jurisdiction = "eu" | "fedramp";

export const JURISDICTIONS: readonly Jurisdiction[] = ["eu", "fedramp"];

/** How a token's payload says it; 0: none. */
const BYTES: Readonly<Record<Jurisdiction, number>> = { eu: 1, fedramp: 2 };

/** Of a tenant's or token's id, or of a credential: behind the three letters of what it is. */
export function jurisdictionOf(text: string): Jurisdiction | null {
  return JURISDICTIONS.find((jurisdiction) => text.startsWith(`_${jurisdiction}_`, 3)) ?? null;
}

/** An id made in a jurisdiction, of one that has none. */
export function idIn<Id extends TenantId | TokenId>(jurisdiction: Jurisdiction | null, id: Id): Id {
  return jurisdiction === null ? id : (id.replace("_", `_${jurisdiction}_`) as Id);
}

/** A fresh tenant's id. */
export function newTenantId(jurisdiction: Jurisdiction | null): TenantId {
  return idIn(jurisdiction, newId("tenant"));
}

/** A fresh token's id. */
export function newTokenId(tenantId: TenantId): TokenId {
  return idIn(jurisdictionOf(tenantId), newId("token"));
}

export function jurisdictionByte(tenantId: TenantId): number {
  const jurisdiction = jurisdictionOf(tenantId);
  return jurisdiction === null ? 0 : BYTES[jurisdiction];
}

/** Undefined for a byte that says nothing. */
export function jurisdictionOfByte(byte: number | undefined): Jurisdiction | null | undefined {
  return byte === 0 ? null : JURISDICTIONS.find((jurisdiction) => BYTES[jurisdiction] === byte);
}
