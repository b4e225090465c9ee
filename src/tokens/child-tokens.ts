import { getTableColumns } from "drizzle-orm";
import type { AuditEvent } from "../audit/event.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import type { TenantId } from "../base/ids.ts";
import { newTokenId } from "../base/jurisdiction.ts";
import { Problem } from "../base/problem.ts";
import { Redacted } from "../base/redacted.ts";
import type { TokenCaller } from "../identity/caller.ts";
import { narrow } from "./child-bounds.ts";
import type { ChildTokenRequest } from "./child-schemas.ts";
import type { Grant } from "./grant.ts";
import { MAX_LINE, rootOf } from "./line.ts";
import { tokens } from "./tables.ts";
import { tokenEvent } from "./token-events.ts";
import type { TokenSigner } from "./token.ts";

/** Of one root, at the same time: those that have not expired, revoked ones included. */
const MAX_CHILDREN = 1_000;

/**
 * Children of scoped tokens: narrower ones, which an orchestrator hands to its sub-agents. A child's uses are charged to
 * everything above it as well, and it is revoked with any of it.
 *
 * Any token may have children. It can be no more than its holder's own token, which the holder could hand on instead: to
 * refuse a narrower one would only spread the wider.
 */
export class ChildTokens {
  readonly #db: Database;
  readonly #signer: TokenSigner;
  readonly #clock: Clock;
  readonly #flush: (tenantId: TenantId) => Promise<void>;
  readonly #waitUntil: (promise: Promise<unknown>) => void;

  constructor(parts: {
    readonly db: Database;
    readonly signer: TokenSigner;
    readonly clock: Clock;
    /** Brings the tenant's events from the outbox to the ledger. */
    readonly flush: (tenantId: TenantId) => Promise<void>;
    readonly waitUntil: (promise: Promise<unknown>) => void;
  }) {
    this.#db = parts.db;
    this.#signer = parts.signer;
    this.#clock = parts.clock;
    this.#flush = parts.flush;
    this.#waitUntil = parts.waitUntil;
  }

  /**
   * Costs the parent no use. Throws SCOPE_DENIED where the parent does not cover what is asked for, CONFLICT where its
   * line is as long as one may be, or its root has as many children as one may have.
   */
  async mint(
    { grant: parent, request, actor }: TokenCaller,
    wanted: ChildTokenRequest,
  ): Promise<{ readonly token: Redacted; readonly grant: Grant }> {
    if (parent.ancestors.length + 2 > MAX_LINE) {
      throw new Problem("CONFLICT", `A line of tokens has at most ${MAX_LINE}.`, {
        why: "Make the child from a token further up.",
      });
    }
    const now = this.#clock();
    const { tokenId, scopes, maxUses, rate, issuedAt, expiresAt } = parent;
    const child: Grant = {
      ...parent,
      ...narrow(parent, wanted, now),
      tokenId: newTokenId(parent.tenantId),
      issuedAt: now,
      ancestors: [...parent.ancestors, { tokenId, scopes, maxUses, rate, issuedAt, expiresAt }],
    };
    const event = tokenEvent({ actor, request }, now, child.tokenId, "token.issued", eventContext(child));
    if (!(await this.#insert(child, event, now))) {
      throw new Problem("CONFLICT", `A token has at most ${MAX_CHILDREN} children that have not expired.`, {
        why: "Wait for some to expire, or give them shorter lives.",
      });
    }
    this.#waitUntil(this.#flush(child.tenantId));
    return { token: new Redacted(this.#signer.issue(child)), grant: child };
  }

  /** False where there are too many. Counted and written in one statement: no two children take the same place. */
  async #insert(child: Grant, event: AuditEvent, now: number): Promise<boolean> {
    const { tenantId, tokenId } = child;
    const client = this.#db.of(tenantId).$client;
    const rootId = rootOf(child).tokenId;
    const columns = columnsOf(child);
    const names = columns.map(([name]) => name);
    const places = names.map((_name, at) => `?${at + 2}`);
    const [root, time] = [`?${names.length + 2}`, `?${names.length + 3}`];
    const insert = client
      .prepare(
        `insert into tokens (tenant_id, ${names.join(", ")})
         select ?1, ${places.join(", ")}
         where (select count(*) from tokens where tenant_id = ?1 and root_id = ${root} and expires_at > ${time})
           < ${MAX_CHILDREN}
         returning id`,
      )
      .bind(tenantId, ...columns.map(([, value]) => value), rootId, now);
    const record = client
      .prepare(
        `insert into audit_outbox (tenant_id, event)
         select ?1, ?2 where exists (select 1 from tokens where tenant_id = ?1 and id = ?3)`,
      )
      .bind(tenantId, JSON.stringify(event), tokenId);
    const [inserted] = await client.batch([insert, record]);
    return (inserted?.results ?? []).length > 0;
  }
}

/**
 * Its row, but for the tenant. Read off the table, so that whatever a grant will be bound to is in its children's rows:
 * one that was left out would be a child that is bound to less than its parent.
 */
function columnsOf(child: Grant): readonly (readonly [name: string, value: unknown])[] {
  const { tokenId: id, tenantId: _tenantId, ...rest } = child;
  const parentId = child.ancestors.at(-1)?.tokenId;
  const row = new Map<string, unknown>(
    Object.entries({ ...rest, id, parentId, rootId: rootOf(child).tokenId }),
  );
  return Object.entries(getTableColumns(tokens)).flatMap(([key, column]) => {
    const value = row.get(key);
    if (value === undefined) return [];
    const name = key.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`);
    return [[name, value === null ? null : column.mapToDriverValue(value)] as const];
  });
}

/** The long ones last: what does not fit into the ledger's bound is cut off from the end. */
function eventContext(child: Grant): AuditEvent["context"] {
  return {
    ...{
      agent_id: child.agentId,
      parent_id: child.ancestors.at(-1)?.tokenId,
      root_id: rootOf(child).tokenId,
    },
    ...child.context,
    expires_at: new Date(child.expiresAt).toISOString(),
    ...{ max_uses: child.maxUses, rate: child.rate, tool: child.tool, user: child.user },
    ...{ scopes: child.scopes, ip_allowlist: child.ipAllowlist, allow: child.allow },
  };
}
