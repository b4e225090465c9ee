import { and, eq, isNull } from "drizzle-orm";
import { auditOutbox } from "../audit/tables.ts";
import { unauthorized } from "../base/bearer.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import { newId, type MemberId, type TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import { jurisdictionOf } from "../base/jurisdiction.ts";
import type { Redacted } from "../base/redacted.ts";
import type { RequestInfo } from "../base/request.ts";
import type { Role } from "./caller.ts";
import { credentialDigest, isCredential, newCredential, sameCredential } from "./credential.ts";
import { eventBy } from "./events.ts";
import { bootstraps, members, tenants } from "./tables.ts";

export interface Member {
  readonly tenantId: TenantId;
  readonly memberId: MemberId;
  readonly name: string;
  readonly role: Role;
  /** True for a credential made for scripts: it can manage and never approve. */
  readonly script: boolean;
}

export interface Bootstrapped {
  readonly tenantId: TenantId;
  readonly memberId: MemberId;
  /** Shown once; only its digest is kept. */
  readonly adminToken: Redacted;
}

const MARKER_ID = 1;

/** The people of a deployment, and how its first one comes to be. */
export class Members {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #pepper: Uint8Array;
  readonly #bootstrapCredential: Redacted | null;
  readonly #onEvents: (tenantId: TenantId) => void;

  constructor(parts: {
    readonly db: Database;
    readonly clock: Clock;
    /** The deployment's PEPPER, 32 bytes. */
    readonly pepper: Uint8Array;
    /** BOOTSTRAP_CREDENTIAL; null where there is none: nobody can bootstrap then. */
    readonly bootstrapCredential: Redacted | null;
    /** Called once a tenant's events wait in the outbox: brings them to the ledger in the background. */
    readonly onEvents: (tenantId: TenantId) => void;
  }) {
    this.#db = parts.db;
    this.#clock = parts.clock;
    this.#pepper = parts.pepper;
    this.#bootstrapCredential = parts.bootstrapCredential;
    this.#onEvents = parts.onEvents;
  }

  /** Null for a credential that is malformed, unknown or revoked. */
  async authenticate(credential: string): Promise<Member | null> {
    if (!isCredential("vkm", credential)) return null;
    const jurisdiction = jurisdictionOf(credential);
    if (!this.#db.jurisdictions.includes(jurisdiction)) return null;
    const rows = await this.#db
      .acrossTenants("whose credential it is, by its digest", jurisdiction)
      .select({
        tenantId: members.tenantId,
        memberId: members.id,
        name: members.name,
        role: members.role,
        script: members.script,
      })
      .from(members)
      .where(and(eq(members.digest, credentialDigest(this.#pepper, credential)), isNull(members.revokedAt)));
    return rows[0] ?? null;
  }

  /** Throws UNAUTHORIZED for all but the deployment's bootstrap credential, spent or not. */
  checkBootstrapCredential(credential: string | null): void {
    const expected = this.#bootstrapCredential;
    if (expected === null || credential === null || !credential.startsWith("vkb_")) throw unauthorized();
    if (!sameCredential(this.#pepper, expected, credential)) throw unauthorized();
  }

  /**
   * Makes the first tenant and its admin, once in the life of a deployment; throws CONFLICT ever after. The caller has
   * been through `checkBootstrapCredential`. Goes past the gate: nobody can hold a lease on a tenant that does not exist.
   */
  async bootstrap(tenantName: string, request: RequestInfo): Promise<Bootstrapped> {
    if (await this.#isBootstrapped()) throw spent();
    const now = this.#clock();
    const tenantId = newId("tenant");
    const memberId = newId("member");
    const adminToken = newCredential("vkm");
    const by = { actor: "system", request };
    const events = [
      eventBy(by, now, {
        event_type: "tenant.created",
        resource_type: "tenant",
        resource: tenantId,
        context: { name: tenantName },
      }),
      eventBy(by, now, {
        event_type: "member.created",
        resource_type: "member",
        resource: memberId,
        context: { role: "admin", script: true },
      }),
    ];
    try {
      const db = this.#db.of(tenantId);
      await db.batch([
        db.insert(bootstraps).values({ id: MARKER_ID, createdAt: now }),
        db
          .insert(tenants)
          .values({ id: tenantId, name: tenantName, epoch: 1, settings: { reveal: "deny" }, createdAt: now }),
        db.insert(members).values({
          id: memberId,
          name: "admin",
          role: "admin",
          script: true,
          digest: credentialDigest(this.#pepper, adminToken),
          createdAt: now,
        }),
        db.insert(auditOutbox).values(events.map((event) => ({ event }))),
      ]);
    } catch (error) {
      if (await this.#isBootstrapped()) throw spent();
      throw error;
    }
    this.#onEvents(tenantId);
    return { tenantId, memberId, adminToken };
  }

  async #isBootstrapped(): Promise<boolean> {
    const db = this.#db.acrossTenants("whether this deployment has its first tenant");
    const rows = await db.select({ id: bootstraps.id }).from(bootstraps);
    return rows.length > 0;
  }
}

function spent(): Problem {
  return new Problem("CONFLICT", "The bootstrap credential was spent already.", {
    why: "Manage this deployment with the admin's credential that came of it.",
  });
}
