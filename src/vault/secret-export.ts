import { fitForOutbox } from "../audit/clean.ts";
import { auditOutbox } from "../audit/tables.ts";
import type { ExportMedia } from "../base/export-format.ts";
import type { ExportRow } from "../base/export-stream.ts";
import type { MemberCaller } from "../identity/caller.ts";
import { renderListed } from "./render.ts";
import { secretEvent } from "./secret-events.ts";
import type { SecretIndex } from "./secret-index.ts";
import type { SecretFilter } from "./secret-search.ts";
import type { VaultParts } from "./vault-parts.ts";

/** CSV's; the members of a secret in lists. */
export const EXPORT_COLUMNS = [
  "path",
  "namespace",
  "key",
  "version",
  "secret_type",
  "access_tier",
  "tags",
  "metadata",
  "allowed_hosts",
  "reveal",
  "expires_at",
  "expired",
  "expires_soon",
  "rotation_due",
  "rotation_due_at",
  "rotation_reason",
  "created_at",
  "updated_at",
] as const satisfies readonly (keyof ReturnType<typeof renderListed>)[];

const ROWS_AT_ONCE = 200;

/** What is known about secrets, in pages of bounded size. */
export class SecretExport {
  readonly #parts: VaultParts;
  readonly #index: SecretIndex;

  constructor(parts: VaultParts, index: SecretIndex) {
    this.#parts = parts;
    this.#index = index;
  }

  /** Resolves once the ledger's line for it is kept: without one nothing is exported (attack 84). */
  async begin(
    caller: MemberCaller,
    filter: SecretFilter,
    media: ExportMedia,
  ): Promise<AsyncIterable<readonly ExportRow[]>> {
    const { tenantId } = caller;
    const { db, clock } = this.#parts;
    const { expiresBefore, namespace, query, rotationDue, tag, tier, type } = filter;
    const wanted = {
      ...{ namespace, query, tag, tier, type, rotation_due: rotationDue },
      expires_before: expiresBefore === undefined ? undefined : new Date(expiresBefore).toISOString(),
    };
    const given = Object.entries(wanted).filter(([, value]) => value !== undefined && value !== null);
    const event = secretEvent(caller, clock(), "secret.exported", namespace ?? "*", {
      format: media,
      filter: Object.fromEntries(given),
    });
    await db
      .of(tenantId)
      .insert(auditOutbox)
      .values({ event: fitForOutbox(event) });
    this.#parts.onEvents(tenantId);
    return this.#pages(caller, filter);
  }

  async *#pages({ tenantId }: MemberCaller, filter: SecretFilter): AsyncGenerator<readonly ExportRow[]> {
    const now = this.#parts.clock();
    let cursor: string | undefined;
    do {
      const page = await this.#index.search(tenantId, filter, { limit: ROWS_AT_ONCE, cursor });
      yield page.items.map((secret) => renderListed(secret, now));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
  }
}
