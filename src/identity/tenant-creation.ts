import { eq } from "drizzle-orm";
import { fitForOutbox } from "../audit/clean.ts";
import { auditOutbox } from "../audit/tables.ts";
import { unauthorized } from "../base/bearer.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { newId, type TenantId } from "../base/ids.ts";
import { type Jurisdiction, jurisdictionOf, newTenantId } from "../base/jurisdiction.ts";
import { Problem } from "../base/problem.ts";
import type { Redacted } from "../base/redacted.ts";
import type { RequestInfo } from "../base/request.ts";
import { credentialDigest, isCredential, newCredential, sameCredential } from "./credential.ts";
import { eventBy } from "./events.ts";
import type { Bootstrapped } from "./members.ts";
import { tenantBootstraps, tenants } from "./tables.ts";

export interface NewTenant {
  readonly name: string;
  /** Where its data stay from now on; null: anywhere. Never changes. */
  readonly jurisdiction: Jurisdiction | null;
}

export interface CreatedTenant {
  readonly tenantId: TenantId;
  readonly jurisdiction: Jurisdiction | null;
  /** `vkb_…`, shown once: makes the tenant's first admin, once. */
  readonly bootstrapCredential: Redacted;
  /** Milliseconds since 1970 until which it does. */
  readonly bootstrapExpiresAt: number;
}

const BOOTSTRAP_LIFE_MS = 7 * 24 * 3_600_000;

/**
 * How a deployment gets tenants beside its first: its operator makes them and hands each a credential for its first
 * admin. The operator's credential makes tenants and nothing else; it sees nothing of any of them.
 */
export class TenantCreation {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #pepper: Uint8Array;
  readonly #operatorCredential: Redacted | null;
  readonly #checkHome: (tenantId: TenantId) => void;
  readonly #onEvents: (tenantId: TenantId) => void;

  constructor(parts: {
    readonly db: Database;
    readonly clock: Clock;
    /** The deployment's PEPPER, 32 bytes. */
    readonly pepper: Uint8Array;
    /** OPERATOR_CREDENTIAL; null where there is none: nobody can make tenants then. */
    readonly operatorCredential: Redacted | null;
    /** Throws MISCONFIGURED where the platform cannot keep the tenant's objects in its jurisdiction. */
    readonly checkHome: (tenantId: TenantId) => void;
    /** Called once a tenant's events wait in the outbox: brings them to the ledger in the background. */
    readonly onEvents: (tenantId: TenantId) => void;
  }) {
    this.#db = parts.db;
    this.#clock = parts.clock;
    this.#pepper = parts.pepper;
    this.#operatorCredential = parts.operatorCredential;
    this.#checkHome = parts.checkHome;
    this.#onEvents = parts.onEvents;
  }

  /** Throws UNAUTHORIZED for all but the deployment's operator credential, `vko_…`. */
  checkOperatorCredential(credential: string | null): void {
    const expected = this.#operatorCredential;
    if (expected === null || credential === null || !credential.startsWith("vko_")) throw unauthorized();
    if (!sameCredential(this.#pepper, expected, credential)) throw unauthorized();
  }

  /**
   * Makes a tenant without anybody in it; its ledger begins with that. The caller has been through
   * `checkOperatorCredential`. Throws VALIDATION_ERROR for a jurisdiction in which this deployment has no database.
   */
  async create({ name, jurisdiction }: NewTenant, request: RequestInfo): Promise<CreatedTenant> {
    if (!this.#db.jurisdictions.includes(jurisdiction)) {
      throw new Problem(
        "VALIDATION_ERROR",
        `\`jurisdiction\`: this deployment has no database in "${jurisdiction}".`,
      );
    }
    const now = this.#clock();
    const tenantId = newTenantId(jurisdiction);
    this.#checkHome(tenantId);
    const bootstrapCredential = newCredential("vkb", jurisdiction);
    const bootstrapExpiresAt = now + BOOTSTRAP_LIFE_MS;
    const event = eventBy({ actor: "operator", request }, now, {
      event_type: "tenant.created",
      resource_type: "tenant",
      resource: tenantId,
      context: { name, jurisdiction },
    });
    const db = this.#db.of(tenantId);
    await db.batch([
      db
        .insert(tenants)
        .values({ id: tenantId, name, epoch: 1, settings: { reveal: "deny" }, createdAt: now }),
      db.insert(tenantBootstraps).values({
        digest: credentialDigest(this.#pepper, bootstrapCredential),
        createdAt: now,
        expiresAt: bootstrapExpiresAt,
      }),
      db.insert(auditOutbox).values({ event: fitForOutbox(event) }),
    ]);
    this.#onEvents(tenantId);
    return { tenantId, jurisdiction, bootstrapCredential, bootstrapExpiresAt };
  }

  /** Whether a credential has the form of those that `create` hands out, and not of the deployment's own. */
  isBootstrapCredential(credential: string): boolean {
    return isCredential("vkb", credential);
  }

  /**
   * Makes the first admin of the tenant whose bootstrap credential it is, once. Throws UNAUTHORIZED where it is nobody's
   * or has expired, CONFLICT where it was spent.
   */
  async begin(credential: string | null, request: RequestInfo): Promise<Bootstrapped> {
    const found = credential === null ? null : await this.#find(credential);
    if (found === null) throw unauthorized();
    const { tenantId, digest } = found;
    const now = this.#clock();
    const memberId = newId("member");
    const adminToken = newCredential("vkm", jurisdictionOf(tenantId));
    const event = eventBy({ actor: "system", request }, now, {
      event_type: "member.created",
      resource_type: "member",
      resource: memberId,
      context: { role: "admin", script: true },
    });
    const { $client: client } = this.#db.of(tenantId);
    // In SQL of its own: drizzle cannot put a guarded `insert … select` with parameters into a batch.
    const [made] = await client.batch([
      client
        .prepare(
          `insert into members (id, tenant_id, name, role, script, digest, created_at)
           select ?2, ?1, 'admin', 'admin', 1, ?3, ?4 from tenant_bootstraps
           where tenant_id = ?1 and digest = ?5 and spent_at is null returning id`,
        )
        .bind(tenantId, memberId, credentialDigest(this.#pepper, adminToken), now, digest),
      client
        .prepare(
          `insert into audit_outbox (tenant_id, event)
           select ?1, ?2 where exists (select 1 from members where tenant_id = ?1 and id = ?3)`,
        )
        .bind(tenantId, JSON.stringify(fitForOutbox(event)), memberId),
      client
        .prepare(
          "update tenant_bootstraps set spent_at = ?2 where tenant_id = ?1 and digest = ?3 and spent_at is null",
        )
        .bind(tenantId, now, digest),
    ]);
    if (made?.results.length !== 1) {
      throw new Problem("CONFLICT", "The bootstrap credential was spent already.", {
        why: "Manage this tenant with the admin's credential that came of it.",
      });
    }
    this.#onEvents(tenantId);
    return { tenantId, memberId, adminToken };
  }

  async #find(credential: string): Promise<{ readonly tenantId: TenantId; readonly digest: string } | null> {
    if (!isCredential("vkb", credential)) return null;
    const jurisdiction = jurisdictionOf(credential);
    if (!this.#db.jurisdictions.includes(jurisdiction)) return null;
    const digest = credentialDigest(this.#pepper, credential);
    const [row] = await this.#db
      .acrossTenants("whose first admin it makes, by its digest", jurisdiction)
      .select({ tenantId: tenantBootstraps.tenantId, expiresAt: tenantBootstraps.expiresAt })
      .from(tenantBootstraps)
      .where(eq(tenantBootstraps.digest, digest));
    return row === undefined || row.expiresAt <= this.#clock() ? null : { tenantId: row.tenantId, digest };
  }
}
