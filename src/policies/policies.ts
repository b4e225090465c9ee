import { z } from "zod";
import type { Clock } from "../base/clock.ts";
import type { Database, Statement } from "../base/database.ts";
import { type AtEpoch, EpochCache } from "../base/epoch-cache.ts";
import { newId, type PolicyId, type TenantId } from "../base/ids.ts";
import { againIfOvertaken } from "../base/overtaken.ts";
import { decodeCursor, type Page, pageOf } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import type { MemberCaller } from "../identity/caller.ts";
import type { Change, ChangeResult, TenantChanges } from "../identity/changes.ts";
import { checkCondition } from "./policy-condition.ts";
import { describeChange, describePolicy, policyEvent } from "./policy-events.ts";
import { type LoadedPolicies, loadPolicies } from "./policy-load.ts";
import {
  contentOf,
  deleteRow,
  fromRow,
  getRow,
  insertRow,
  insertVersion,
  isOvertaken,
  isTaken,
  isTooMany,
  listRows,
  type PolicyRow,
  type PolicyVersionRow,
  unlessTooMany,
  updateRow,
  versionRows,
} from "./policy-rows.ts";
import { blank, loosening, settle } from "./policy-settle.ts";
import type { Policy } from "./policy.ts";
import type { PolicyCreate, PolicyPatch } from "./schemas.ts";
import type { PolicyContent } from "./tables.ts";
import { expandTemplate } from "./templates.ts";
import type { PolicySet } from "./verdict.ts";

export interface PoliciesParts {
  readonly db: Database;
  readonly changes: TenantChanges;
  /** Throws STEP_UP_REQUIRED for a person who has not signed in just now. */
  readonly requireFresh: (caller: MemberCaller) => void;
  /** Throws ROLE_DENIED for a person whom a credential for scripts let in within the last day. */
  readonly requireVetted: (caller: MemberCaller) => Promise<void>;
  readonly clock: Clock;
  readonly waitUntil: (promise: Promise<unknown>) => void;
}

export interface ChangedPolicy {
  readonly policy: Policy;
  readonly change: ChangeResult;
}

/** Isolates keep every enabled policy of a tenant at hand, compiled. */
const BOUNDS = { max: 500, maxCharacters: 256 * 1_024 };

const atHand = new EpochCache<LoadedPolicies>(1_000);
const nameCursor = z.tuple([z.string()]);
const versionCursor = z.tuple([z.int().min(1)]);

/** A tenant's policies. One of another tenant is one that does not exist. */
export class Policies {
  readonly #parts: PoliciesParts;

  constructor(parts: PoliciesParts) {
    this.#parts = parts;
  }

  /**
   * For decisions: the policies as of `epoch` or later, from the isolate's memory where that is new enough. The set
   * knows the agents' names and trust tiers: facts need only say their ids. Throws UNAVAILABLE as `EpochCache`.
   */
  async find(tenantId: TenantId, epoch: number): Promise<AtEpoch<PolicySet>> {
    const { db, waitUntil } = this.#parts;
    const read = () => loadPolicies(db, tenantId, atHand.peek(tenantId)?.value);
    return atHand.get(tenantId, epoch, read, waitUntil);
  }

  /** Throws NOT_FOUND. */
  async get(tenantId: TenantId, id: PolicyId): Promise<Policy> {
    return fromRow(await getRow(this.#parts.db, tenantId, id));
  }

  /** By name. */
  async list(
    tenantId: TenantId,
    page: Page,
  ): Promise<{ readonly policies: readonly Policy[]; readonly nextCursor: string | null }> {
    const after = page.cursor === undefined ? "" : decodeCursor(page.cursor, nameCursor)[0];
    const rows = await listRows(this.#parts.db, tenantId, after, page.limit + 1);
    const { items, nextCursor } = pageOf(rows, page.limit, ({ name }) => [name]);
    return { policies: items.map(fromRow), nextCursor };
  }

  /** The newest first; a policy that is deleted has them still. Throws NOT_FOUND. */
  async versions(
    tenantId: TenantId,
    id: PolicyId,
    page: Page,
  ): Promise<{ readonly versions: readonly PolicyVersionRow[]; readonly nextCursor: string | null }> {
    const below =
      page.cursor === undefined ? Number.MAX_SAFE_INTEGER : decodeCursor(page.cursor, versionCursor)[0];
    const rows = await versionRows(this.#parts.db, tenantId, id, below, page.limit + 1);
    if (rows.length === 0 && page.cursor === undefined) {
      throw new Problem("NOT_FOUND", "There is no such policy.");
    }
    const { items, nextCursor } = pageOf(rows, page.limit, ({ version }) => [version]);
    return { versions: items, nextCursor };
  }

  /**
   * Throws VALIDATION_ERROR where the condition is not one, CONFLICT where the name is taken or there are too many, and
   * STEP_UP_REQUIRED as `#allow`.
   */
  async create(caller: MemberCaller, input: PolicyCreate): Promise<ChangedPolicy> {
    const content = draftOf(input);
    await this.#allow(caller, null, content);
    const now = this.#parts.clock();
    const policy: Policy = {
      ...{ id: newId("policy"), ...content, version: 1, createdAt: now, updatedAt: now },
    };
    const change = await this.#apply(caller, policy.name, {
      statements: [
        insertRow(this.#parts.db, caller.tenantId, policy),
        ...this.#kept(caller, policy, content, now),
      ],
      events: [policyEvent(caller, now, "policy.created", policy, describePolicy(content))],
    });
    return { policy, change };
  }

  /** Throws NOT_FOUND, and what `create` does. */
  async update(caller: MemberCaller, id: PolicyId, patch: PolicyPatch): Promise<ChangedPolicy> {
    return this.#rewrite(caller, id, async (before) => ({ after: settle(before, patch) }));
  }

  /** Says again what it said at a version, as a new one. Throws NOT_FOUND, and what `create` does. */
  async rollback(caller: MemberCaller, id: PolicyId, version: number): Promise<ChangedPolicy> {
    return this.#rewrite(caller, id, async () => {
      const [row] = await versionRows(this.#parts.db, caller.tenantId, id, version + 1, 1);
      if (row?.version !== version || row.policy === null) {
        throw new Problem("NOT_FOUND", `The policy has no version ${version}.`);
      }
      return { after: row.policy, of: version };
    });
  }

  /** Throws NOT_FOUND, ROLE_DENIED and STEP_UP_REQUIRED. */
  async remove(caller: MemberCaller, id: PolicyId): Promise<ChangeResult> {
    const { change } = await this.#changeRow(caller, id, async (row, now) => {
      const before = contentOf(fromRow(row));
      await this.#allow(caller, before, null);
      const gone = { id, version: row.version + 1 };
      return {
        answer: null,
        name: row.name,
        change: {
          statements: [deleteRow(this.#parts.db, row), ...this.#kept(caller, gone, null, now)],
          events: [policyEvent(caller, now, "policy.deleted", gone, describePolicy(before))],
        },
      };
    });
    return change;
  }

  async #rewrite(
    caller: MemberCaller,
    id: PolicyId,
    plan: (before: PolicyContent) => Promise<{ readonly after: PolicyContent; readonly of?: number }>,
  ): Promise<ChangedPolicy> {
    const { answer, change } = await this.#changeRow(caller, id, async (row, now) => {
      const before = contentOf(fromRow(row));
      const { after, of } = await plan(before);
      checkCondition(after);
      await this.#allow(caller, before, after);
      const version = row.version + 1;
      const policy: Policy = { ...fromRow(row), ...after, version, updatedAt: now };
      const told = { ...describeChange(before, after), ...(of === undefined ? {} : { rolled_back_to: of }) };
      return {
        answer: policy,
        name: policy.name,
        change: {
          statements: [updateRow(this.#parts.db, row, policy), ...this.#kept(caller, policy, after, now)],
          events: [policyEvent(caller, now, "policy.changed", policy, told)],
        },
      };
    });
    return { policy: answer, change };
  }

  /**
   * Taking away what refuses or asks is for a person who has signed in just now: else a credential for scripts, which
   * can approve nothing, could do without approvals, by itself or by a person whom it let in (attack 96). Adding what
   * allows is for a person who has signed in just now, or a script. Throws ROLE_DENIED and STEP_UP_REQUIRED.
   */
  async #allow(
    caller: MemberCaller,
    before: PolicyContent | null,
    after: PolicyContent | null,
  ): Promise<void> {
    const kind = loosening(before, after);
    if (kind === null) return;
    if (kind === "guard" && caller.script) {
      throw new Problem("ROLE_DENIED", "This would let through what the policy now stops.", {
        why: "A person can do it, signed in within the last 5 minutes. Credentials for scripts add policies, and make them stricter.",
      });
    }
    this.#parts.requireFresh(caller);
    if (kind === "guard") await this.#parts.requireVetted(caller);
  }

  /** What every change of a policy does beside changing its row. */
  #kept(
    { tenantId, actor }: MemberCaller,
    { id, version }: Pick<Policy, "id" | "version">,
    policy: PolicyContent | null,
    now: number,
  ): readonly Statement[] {
    const { db } = this.#parts;
    const row = { policyId: id, version, policy, changedBy: actor, at: now };
    return [insertVersion(db, tenantId, row), unlessTooMany(db, tenantId, BOUNDS)];
  }

  /** Makes a change to the row as it was read; where someone was faster it is planned again, so that none is lost. */
  async #changeRow<T>(
    caller: MemberCaller,
    id: PolicyId,
    plan: (
      row: PolicyRow,
      now: number,
    ) => Promise<{ readonly answer: T; readonly name: string; readonly change: Change }>,
  ): Promise<{ readonly answer: T; readonly change: ChangeResult }> {
    const { db, clock } = this.#parts;
    return againIfOvertaken("policy", isOvertaken, async () => {
      const row = await getRow(db, caller.tenantId, id);
      const { answer, name, change } = await plan(row, clock());
      return { answer, change: await this.#apply(caller, name, change) };
    });
  }

  async #apply({ tenantId }: MemberCaller, name: string, change: Change): Promise<ChangeResult> {
    try {
      return await this.#parts.changes.apply(tenantId, change);
    } catch (error) {
      if (isTaken(error)) {
        throw new Problem("CONFLICT", `There is a policy "${name}" already.`, {
          why: "Choose another name, or change that policy with PATCH.",
        });
      }
      if (isTooMany(error)) {
        const { max, maxCharacters } = BOUNDS;
        throw new Problem(
          "CONFLICT",
          `A tenant has at most ${max} policies, with ${maxCharacters} characters of conditions in all.`,
          { why: "Delete some, or write several as one." },
        );
      }
      throw error;
    }
  }
}

/** A policy as it would be made. Throws VALIDATION_ERROR. */
export function draftOf(input: PolicyCreate): PolicyContent {
  const { template, parameters, ...rest } = input;
  const draft =
    template === undefined
      ? settle(blank(input), rest)
      : settle({ ...blank(input), ...expandTemplate(template, parameters ?? {}) }, rest);
  checkCondition(draft);
  return draft;
}
