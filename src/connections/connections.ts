import { z } from "zod";
import type { AuditEvent } from "../audit/event.ts";
import type { Clock } from "../base/clock.ts";
import type { Database, Statement } from "../base/database.ts";
import { type AtEpoch, EpochCache } from "../base/epoch-cache.ts";
import { newId, type TenantId } from "../base/ids.ts";
import { againIfOvertaken } from "../base/overtaken.ts";
import { decodeCursor, type Page, pageOf } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import type { MemberCaller } from "../identity/caller.ts";
import type { Change, ChangeResult, TenantChanges, Watermark } from "../identity/changes.ts";
import type { SecretChanges } from "../vault/secret-changes.ts";
import type { SecretIndex } from "../vault/secret-index.ts";
import { connectionEvent, describeChange, describeConnection, hostsEvent } from "./connection-events.ts";
import {
  type ConnectionRow,
  deleteRow,
  fromRow,
  getRow,
  insertRow,
  isOvertaken,
  isTaken,
  listRows,
  readConnection,
  unlessChanged,
  updateRow,
} from "./connection-rows.ts";
import type { Connection } from "./connection.ts";
import type { DestinationRules } from "./destination.ts";
import { type ConnectionCreate, type ConnectionPatch, DEFAULT_REDACT, isSlug } from "./schemas.ts";
import {
  checkMove,
  type ParseCredential,
  type SecretTerms,
  settleHosts,
  settleWay,
  type Way,
} from "./settle.ts";

export interface ConnectionsParts {
  readonly db: Database;
  readonly changes: TenantChanges;
  /** What is known of secrets without opening them, and how the hosts of undecided ones are decided. */
  readonly vault: {
    readonly index: Pick<SecretIndex, "find">;
    readonly changes: Pick<SecretChanges, "decideHosts">;
  };
  /** `credentials/kinds.ts` has it. */
  readonly parseCredential: ParseCredential;
  readonly rules: DestinationRules;
  readonly clock: Clock;
  readonly waitUntil: (promise: Promise<unknown>) => void;
}

export interface ChangedConnection {
  readonly connection: Connection;
  readonly change: ChangeResult;
}

type Terms = ReadonlyMap<string, SecretTerms | null>;

/** What a change of a connection does besides changing its row. */
interface Consequences {
  readonly statements: readonly Statement[];
  readonly events: readonly AuditEvent[];
  readonly watermarks: readonly Watermark[];
}

const NONE: Consequences = { statements: [], events: [], watermarks: [] };

const atHand = new EpochCache<Connection | null>(5_000);
const cursorSchema = z.tuple([z.string()]);

/** A tenant's connections. One of another tenant is one that does not exist. */
export class Connections {
  readonly #parts: ConnectionsParts;

  constructor(parts: ConnectionsParts) {
    this.#parts = parts;
  }

  /**
   * For calls: the connection as of `epoch` or later, from the isolate's memory where that is new enough; null where
   * there is none. Throws UNAVAILABLE as `EpochCache`.
   */
  async find(tenantId: TenantId, slug: string, epoch: number): Promise<AtEpoch<Connection | null>> {
    if (!isSlug(slug)) return { epoch, value: null };
    const { db, waitUntil } = this.#parts;
    return atHand.get(`${tenantId} ${slug}`, epoch, () => readConnection(db, tenantId, slug), waitUntil);
  }

  /** Throws NOT_FOUND. */
  async get(tenantId: TenantId, slug: string): Promise<Connection> {
    return fromRow(await getRow(this.#parts.db, tenantId, slug));
  }

  /** By slug. */
  async list(
    tenantId: TenantId,
    page: Page,
  ): Promise<{ readonly connections: readonly Connection[]; readonly nextCursor: string | null }> {
    const after = page.cursor === undefined ? "" : decodeCursor(page.cursor, cursorSchema)[0];
    const rows = await listRows(this.#parts.db, tenantId, after, page.limit + 1);
    const { items, nextCursor } = pageOf(rows, page.limit, ({ slug }) => [slug]);
    return { connections: items.map(fromRow), nextCursor };
  }

  /** Throws what `settleWay` and `settleHosts` refuse, and CONFLICT where the slug is taken. */
  async create(caller: MemberCaller, input: ConnectionCreate): Promise<ChangedConnection> {
    const { tenantId } = caller;
    const { rules, parseCredential } = this.#parts;
    const way = settleWay(
      {
        provider: input.provider ?? null,
        baseUrl: input.base_url,
        credential: input.credential,
        secrets: secretsOf(input) ?? {},
      },
      rules,
      parseCredential,
    );
    const now = this.#parts.clock();
    const connection: Connection = {
      id: newId("connection"),
      slug: input.slug,
      provider: input.provider ?? null,
      baseUrl: way.baseUrl,
      credential: way.credential,
      secrets: way.secrets,
      allow: input.allow ?? null,
      limits: input.limits ?? {},
      references: input.references ?? [],
      websockets: input.websockets ?? false,
      redact: input.redact ?? DEFAULT_REDACT,
      default: input.default ?? "allow",
      createdAt: now,
      updatedAt: now,
    };
    const terms = await this.#terms(tenantId, way.secrets);
    const also = this.#connect(caller, now, { slug: input.slug, secrets: {} }, way, terms);
    try {
      const change = await this.#parts.changes.apply(tenantId, {
        statements: [insertRow(this.#parts.db, tenantId, connection), ...also.statements],
        events: [
          connectionEvent(caller, now, "connection.created", input.slug, describeConnection(connection)),
          ...also.events,
        ],
        ...revoking(also),
      });
      return { connection, change };
    } catch (error) {
      if (!isTaken(error)) throw error;
      throw new Problem("CONFLICT", `There is a connection "${input.slug}" already.`, {
        why: "Choose another slug, or change that connection with PATCH.",
      });
    }
  }

  /** Throws NOT_FOUND, what `create` refuses, and APPROVAL_REQUIRED as `checkMove`. */
  async update(caller: MemberCaller, slug: string, patch: ConnectionPatch): Promise<ChangedConnection> {
    const { answer, change } = await this.#changeRow(caller.tenantId, slug, async (row) => {
      const before = fromRow(row);
      const now = this.#parts.clock();
      const { way, also } = await this.#redirect(caller, now, before, patch);
      const after: Connection = {
        ...before,
        ...(way === null ? {} : { baseUrl: way.baseUrl, credential: way.credential, secrets: way.secrets }),
        allow: patch.allow === undefined ? before.allow : patch.allow,
        limits: patch.limits ?? before.limits,
        references: patch.references ?? before.references,
        websockets: patch.websockets ?? before.websockets,
        redact: patch.redact ?? before.redact,
        default: patch.default ?? before.default,
        // Also within one millisecond: `unlessChanged` goes by it.
        updatedAt: Math.max(now, before.updatedAt + 1),
      };
      const event = connectionEvent(caller, now, "connection.updated", slug, describeChange(before, after));
      return {
        answer: after,
        change: {
          statements: [updateRow(this.#parts.db, row, after), ...also.statements],
          events: [event, ...also.events],
          ...revoking(also),
        },
      };
    });
    return { connection: answer, change };
  }

  /** Tokens issued before are refused on the slug from then on, whatever is made of it later. Throws NOT_FOUND. */
  async remove(caller: MemberCaller, slug: string): Promise<ChangeResult> {
    const { change } = await this.#changeRow(caller.tenantId, slug, async (row) => {
      const was = describeConnection(fromRow(row));
      return {
        answer: null,
        change: {
          statements: [deleteRow(this.#parts.db, row)],
          events: [connectionEvent(caller, this.#parts.clock(), "connection.deleted", slug, was)],
          watermarks: [{ kind: "connection", key: slug }],
        },
      };
    });
    return change;
  }

  /** Where a patch leads a connection; a null `way` where it says nothing of it, and then nothing is checked. */
  async #redirect(
    caller: MemberCaller,
    now: number,
    before: Connection,
    patch: ConnectionPatch,
  ): Promise<{ readonly way: Way | null; readonly also: Consequences }> {
    const given = secretsOf(patch);
    if (patch.base_url === undefined && patch.credential === undefined && given === undefined) {
      return { way: null, also: NONE };
    }
    const { rules, parseCredential } = this.#parts;
    const way = settleWay(
      {
        provider: before.provider,
        baseUrl: patch.base_url ?? before.baseUrl,
        credential: patch.credential ?? before.credential,
        secrets: given ?? before.secrets,
      },
      rules,
      parseCredential,
    );
    const terms = await this.#terms(caller.tenantId, before.secrets, way.secrets);
    checkMove(before, way, [...terms.values()]);
    return { way, also: this.#connect(caller, now, before, way, terms) };
  }

  /**
   * Checks every secret of a way, and gives those without hosts theirs. Tokens issued before do not call through it
   * where it comes to use one above the standard tier: they were not asked for with that.
   */
  #connect(
    caller: MemberCaller,
    now: number,
    { slug, secrets }: Pick<Connection, "slug" | "secrets">,
    way: Way,
    terms: Terms,
  ): Consequences {
    const used = Object.values(secrets);
    const isStricter = Object.values(way.secrets).some(
      (path) => !used.includes(path) && (terms.get(path)?.tier ?? "standard") !== "standard",
    );
    const decided = new Map<string, readonly string[]>();
    for (const [name, path] of Object.entries(way.secrets)) {
      const hosts = settleHosts(way, name, terms.get(path) ?? null);
      if (hosts !== null) decided.set(path, hosts);
    }
    const { changes } = this.#parts.vault;
    return {
      statements: [...decided].map(([path, hosts]) => changes.decideHosts(caller.tenantId, path, hosts)),
      events: [...decided].map(([path, hosts]) => hostsEvent(caller, now, slug, path, hosts)),
      watermarks: isStricter ? [{ kind: "connection", key: slug }] : [],
    };
  }

  /** By path; null where there is no such secret in the tenant. */
  async #terms(tenantId: TenantId, ...secrets: readonly Connection["secrets"][]): Promise<Terms> {
    const paths = new Set(secrets.flatMap((byName) => Object.values(byName)));
    const { index } = this.#parts.vault;
    const entries = [...paths].map(
      async (path) => [path, (await index.find(tenantId, path))?.sealed ?? null] as const,
    );
    return new Map(await Promise.all(entries));
  }

  /** Makes a change to the row as it was read; where someone was faster it is planned again, so that none is lost. */
  async #changeRow<T>(
    tenantId: TenantId,
    slug: string,
    plan: (row: ConnectionRow) => Promise<{ readonly change: Change; readonly answer: T }>,
  ): Promise<{ readonly answer: T; readonly change: ChangeResult }> {
    const { db, changes } = this.#parts;
    return againIfOvertaken("connection", isOvertaken, async () => {
      const row = await getRow(db, tenantId, slug);
      const { answer, change } = await plan(row);
      const statements = [unlessChanged(db, row), ...change.statements];
      return { answer, change: await changes.apply(tenantId, { ...change, statements }) };
    });
  }
}

function revoking({ watermarks }: Consequences): Pick<Change, "watermarks"> {
  return watermarks.length > 0 ? { watermarks } : {};
}

function secretsOf(input: Pick<ConnectionPatch, "secret" | "secrets">): Connection["secrets"] | undefined {
  return input.secret === undefined ? input.secrets : { secret: input.secret };
}
