import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import type { AuditEvent } from "../audit/event.ts";
import type { Clock } from "../base/clock.ts";
import type { Database } from "../base/database.ts";
import type { TenantId } from "../base/ids.ts";
import { decodeCursor, encodeCursor, type Page } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import type { MemberCaller } from "../identity/caller.ts";
import type { ChangeResult, TenantChanges } from "../identity/changes.ts";
import { eventBy } from "../identity/events.ts";
import type { Action, ActionContent } from "./action.ts";
import {
  deleteAction,
  getAction,
  insertAction,
  isOvertaken,
  isTaken,
  isTooMany,
  listActions,
  unlessChanged,
  unlessTooMany,
  updateAction,
} from "./action-rows.ts";
import type { ActionCreate, ActionPatch } from "./action-schemas.ts";
import { BLANK, settleAction } from "./action-settle.ts";

export interface ChangedAction {
  readonly action: Action;
  readonly change: ChangeResult;
}

const MAX_ACTIONS = 200;
const ATTEMPTS = 4;
const cursorSchema = z.tuple([z.string()]);

/** What a tenant lets agents ask permission for. An action of another tenant is one that does not exist. */
export class Actions {
  readonly #db: Database;
  readonly #changes: TenantChanges;
  readonly #requireFresh: (caller: MemberCaller) => void;
  readonly #requireVetted: (caller: MemberCaller) => Promise<void>;
  readonly #clock: Clock;

  constructor(parts: {
    readonly db: Database;
    readonly changes: TenantChanges;
    /** Throws STEP_UP_REQUIRED for a person who has not signed in just now. */
    readonly requireFresh: (caller: MemberCaller) => void;
    /** Throws ROLE_DENIED for a person whom a credential for scripts let in within the last day. */
    readonly requireVetted: (caller: MemberCaller) => Promise<void>;
    readonly clock: Clock;
  }) {
    this.#db = parts.db;
    this.#changes = parts.changes;
    this.#requireFresh = parts.requireFresh;
    this.#requireVetted = parts.requireVetted;
    this.#clock = parts.clock;
  }

  /** Throws NOT_FOUND. */
  get(tenantId: TenantId, name: string): Promise<Action> {
    return getAction(this.#db, tenantId, name);
  }

  /** By name. */
  async list(
    tenantId: TenantId,
    { cursor, limit }: Page,
  ): Promise<{ readonly actions: readonly Action[]; readonly nextCursor: string | null }> {
    const after = cursor === undefined ? "" : decodeCursor(cursor, cursorSchema)[0];
    const found = await listActions(this.#db, tenantId, after, limit + 1);
    const actions = found.slice(0, limit);
    const last = actions.at(-1);
    return { actions, nextCursor: found.length > limit && last ? encodeCursor([last.name]) : null };
  }

  /**
   * Throws VALIDATION_ERROR for what could not be enforced, CONFLICT where the name is taken or there are too many, and
   * STEP_UP_REQUIRED where nobody would have to agree.
   */
  async create(caller: MemberCaller, { name, ...input }: ActionCreate): Promise<ChangedAction> {
    const content = settleAction(BLANK, input);
    if (content.approvals === 0) this.#requireFresh(caller);
    const now = this.#clock();
    const action: Action = { name, ...content, version: 1, createdAt: now, updatedAt: now };
    const { tenantId } = caller;
    try {
      const change = await this.#changes.apply(tenantId, {
        statements: [
          insertAction(this.#db, tenantId, action),
          unlessTooMany(this.#db, tenantId, MAX_ACTIONS),
        ],
        events: [actionEvent(caller, now, "action.created", action, { after: content })],
      });
      return { action, change };
    } catch (error) {
      if (isTaken(error)) {
        throw new Problem("CONFLICT", `There is an action "${name}" already.`, {
          why: "Choose another name, or change that action with PATCH.",
        });
      }
      if (isTooMany(error)) throw new Problem("CONFLICT", `A tenant has at most ${MAX_ACTIONS} actions.`);
      throw error;
    }
  }

  /**
   * Requests that wait for people are void from then on; what was granted stays as it is. Throws as `create`, NOT_FOUND,
   * and ROLE_DENIED where fewer would have to agree (`#loosen`).
   */
  async update(caller: MemberCaller, name: string, patch: ActionPatch): Promise<ChangedAction> {
    return this.#change(caller.tenantId, name, async (before) => {
      const { name: _name, updatedAt: _updatedAt, version, createdAt, ...was } = before;
      const content = settleAction(was, patch);
      if (content.approvals < was.approvals) await this.#loosen(caller);
      const now = this.#clock();
      const action: Action = { ...content, name, version: version + 1, createdAt, updatedAt: now };
      const change = await this.#changes.apply(caller.tenantId, {
        statements: [
          unlessChanged(this.#db, caller.tenantId, before),
          updateAction(this.#db, caller.tenantId, before, action),
        ],
        events: [actionEvent(caller, now, "action.updated", action, differences(was, content))],
      });
      return { action, change };
    });
  }

  /** As `update`: nothing more is granted, until it is made anew. Throws NOT_FOUND, and as `#loosen`. */
  async remove(caller: MemberCaller, name: string): Promise<ChangeResult> {
    return this.#change(caller.tenantId, name, async (before) => {
      if (before.approvals > 0) await this.#loosen(caller);
      return this.#changes.apply(caller.tenantId, {
        statements: [
          unlessChanged(this.#db, caller.tenantId, before),
          deleteAction(this.#db, caller.tenantId, before),
        ],
        events: [actionEvent(caller, this.#clock(), "action.deleted", before, {})],
      });
    });
  }

  /**
   * That fewer have to agree is for a person who has signed in just now, whom no script let in: a credential for scripts
   * approves nothing, and could do without (attack 96). Throws ROLE_DENIED and STEP_UP_REQUIRED.
   */
  async #loosen(caller: MemberCaller): Promise<void> {
    if (caller.script) {
      throw new Problem("ROLE_DENIED", "Fewer people would have to agree to what this action permits.", {
        why: "A person can do it, signed in within the last 5 minutes.",
      });
    }
    this.#requireFresh(caller);
    await this.#requireVetted(caller);
  }

  /** Where someone was faster it is planned again, so that no change is lost. */
  async #change<T>(tenantId: TenantId, name: string, plan: (before: Action) => Promise<T>): Promise<T> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const before = await getAction(this.#db, tenantId, name);
      try {
        return await plan(before);
      } catch (error) {
        if (!isOvertaken(error)) throw error;
      }
    }
    throw new Problem("CONFLICT", "Others are changing this action at the same time. Try again.");
  }
}

function differences(was: ActionContent, is: ActionContent): AuditEvent["context"] {
  const [before, after] = [new Map(Object.entries(was)), Object.entries(is)];
  const changed = after.filter(([name, value]) => !isDeepStrictEqual(value, before.get(name)));
  return {
    changed: changed.map(([name]) => name),
    after: Object.fromEntries(changed),
    before: Object.fromEntries(changed.map(([name]) => [name, before.get(name)])),
  };
}

function actionEvent(
  caller: MemberCaller,
  now: number,
  type: "action.created" | "action.updated" | "action.deleted",
  action: Action,
  context: AuditEvent["context"],
): AuditEvent {
  const { requestId } = caller.request;
  return eventBy(caller, now, {
    ...{ event_type: type, resource_type: "action", resource: action.name },
    context: { request_id: requestId, version: action.version, ...context },
  });
}
