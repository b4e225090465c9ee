import { z } from "zod";
import type { AgentId, ApprovalId, TenantId, TokenId } from "../base/ids.ts";
import { idSchema } from "../base/ids.ts";
import { decodeCursor, encodeCursor, type Page } from "../base/page.ts";
import { Problem } from "../base/problem.ts";
import type { Caller, MemberCaller } from "../identity/caller.ts";
import type { SealedTexts } from "../vault/sealed-text.ts";
import type { Approvers } from "./approvers.ts";
import type { Case, CaseKind, CaseStatus } from "./case.ts";
import { type Answered, type By, shownNameOf } from "./desk.ts";
import type { Desks } from "./desks.ts";
import { FEED_MEMBER } from "./feed.ts";
import type { ShownCall } from "./shown-schema.ts";
import { grantedOf } from "./standing.ts";

/** How an approver grants less than what was asked for. */
export interface Narrowing {
  /**
   * `wanted`: as the approver sent it; `standing`: JSON of what earlier approvers left of it, null: all. JSON of what is
   * granted then. Throws VALIDATION_ERROR for what is more than either.
   */
  narrow(held: Case, standing: string | null, wanted: Readonly<Record<string, unknown>>): string;
}

export interface ApproverAnswer {
  readonly comment?: string | undefined;
  /** What is granted instead of what was asked for; left out: all of it. */
  readonly granted?: Readonly<Record<string, unknown>> | undefined;
}

export interface ApprovalsParts {
  readonly desks: Pick<Desks, "run" | "decided">;
  /** A desk as its feed is opened: the request must ask for a WebSocket. */
  readonly feed: (tenantId: TenantId, request: Request) => Promise<Response>;
  readonly approvers: Pick<Approvers, "check">;
  readonly sealed: Pick<SealedTexts, "open">;
  /** Of the kinds that can be narrowed. */
  readonly narrowing: Partial<Readonly<Record<CaseKind, Narrowing>>>;
}

/** Another approver's vote between looking and voting: look again, so often. */
const ROUNDS = 8;

const cursorSchema = z.tuple([z.number().int(), idSchema("approval")]);

/** What people, and the agents that asked, do with requests for approval. One of another tenant does not exist. */
export class Approvals {
  readonly #parts: ApprovalsParts;

  constructor(parts: ApprovalsParts) {
    this.#parts = parts;
  }

  /** Newest first. */
  async list(
    tenantId: TenantId,
    filter: { readonly status: CaseStatus | null; readonly kind: CaseKind | null },
    { limit, cursor }: Page,
  ): Promise<{ readonly approvals: readonly Case[]; readonly nextCursor: string | null }> {
    const before = cursor === undefined ? null : decodeCursor(cursor, cursorSchema);
    const query = { ...filter, before, limit: limit + 1 };
    const cases = await this.#parts.desks.run(tenantId, (desk) => desk.list(query));
    const page = cases.slice(0, limit);
    const last = page.at(-1);
    const more = cases.length > limit && last !== undefined;
    return { approvals: page, nextCursor: more ? encodeCursor([last.createdAt, last.id]) : null };
  }

  /** With what is shown of a call. Throws NOT_FOUND. */
  async get(
    tenantId: TenantId,
    id: ApprovalId,
  ): Promise<{ readonly held: Case; readonly shown: ShownCall | null }> {
    const found = await this.#parts.desks.run(tenantId, (desk) => desk.get(id));
    if (found === null) throw notFound();
    const { held, sealed } = found;
    if (sealed === null || held.kind !== "call") return { held, shown: null };
    const text = await this.#parts.sealed.open(tenantId, shownNameOf(held.digest), sealed);
    return { held, shown: JSON.parse(text.reveal()) as ShownCall };
  }

  /**
   * A person's word for it; twice is once. Throws NOT_FOUND, ROLE_DENIED for who may not approve this one (`Approvers`),
   * CONFLICT where it does not wait for that, VALIDATION_ERROR for a `granted` that is more than what was asked for.
   */
  async approve(caller: MemberCaller, id: ApprovalId, answer: ApproverAnswer): Promise<Case> {
    const { tenantId, memberId } = caller;
    const { comment, granted: wanted } = answer;
    for (let round = 0; round < ROUNDS; round++) {
      const found = await this.#parts.desks.run(tenantId, (desk) => desk.get(id));
      if (found === null) throw notFound();
      const { held } = found;
      const apartFrom = await this.#parts.approvers.check(caller, held);
      const granted = wanted === undefined ? null : this.#narrow(held, wanted);
      const vote = { memberId, granted, comment: comment ?? null, apartFrom };
      const answered = await this.#parts.desks.run(tenantId, (desk) => desk.approve(id, vote, byOf(caller)));
      if (answered.kind !== "recheck") return settled(answered, null);
    }
    throw new Problem("UNAVAILABLE", "Others are answering this right now. Try again.", {
      headers: { "retry-after": "1" },
    });
  }

  /** One denial suffices, while it waits or its delay runs. Throws NOT_FOUND, CONFLICT where it is over. */
  async deny(caller: MemberCaller, id: ApprovalId, reason: string): Promise<Case> {
    const by = byOf(caller);
    return settled(
      await this.#parts.desks.run(caller.tenantId, (desk) => desk.deny(id, reason, by)),
      "denied",
    );
  }

  /** Takes it back, while it waits or its delay runs. Throws NOT_FOUND, CONFLICT where it is over. */
  async cancel(caller: MemberCaller, id: ApprovalId, reason: string | null): Promise<Case> {
    return this.#cancel(caller, id, reason);
  }

  /** What an agent asked for itself. Throws NOT_FOUND, also for another agent's. */
  async own(tenantId: TenantId, agentId: AgentId, id: ApprovalId): Promise<Case> {
    const found = await this.#parts.desks.run(tenantId, (desk) => desk.get(id));
    return ownedBy(agentId, found?.held ?? null);
  }

  /** As `own`, once it is answered, or after so many seconds. Throws RATE_LIMITED where too many wait already. */
  async wait(tenantId: TenantId, agentId: AgentId, id: ApprovalId, seconds: number): Promise<Case> {
    const held = await this.own(tenantId, agentId, id);
    if (held.status !== "pending" || seconds === 0) return held;
    const decided = await this.#parts.desks.decided(tenantId, id, "answered", seconds * 1_000);
    return ownedBy(agentId, decided);
  }

  /**
   * An agent takes back what it asked for itself; with a token only what that very token's calls asked for. Throws
   * NOT_FOUND, also for what is not its own, and CONFLICT where it is over.
   */
  async cancelOwn(
    caller: Pick<Caller, "tenantId" | "actor" | "request">,
    own: { readonly agentId: AgentId; readonly tokenId: TokenId | null },
    id: ApprovalId,
    reason: string | null,
  ): Promise<Case> {
    const held = await this.own(caller.tenantId, own.agentId, id);
    if (own.tokenId !== null && held.tokenId !== own.tokenId) throw notFound();
    return this.#cancel(caller, id, reason);
  }

  /** What happens from now on, over a WebSocket, for a quarter of an hour at most. */
  async feed({ tenantId, memberId }: MemberCaller): Promise<Response> {
    const headers = { upgrade: "websocket", [FEED_MEMBER]: memberId };
    const { webSocket } = await this.#parts.feed(tenantId, new Request("https://desk/feed", { headers }));
    if (webSocket === null) throw new Problem("UNAVAILABLE", "The feed cannot be had right now. Try again.");
    // One of our own: what an object answers cannot be marked as an answer of the API.
    return new Response(null, { status: 101, webSocket });
  }

  #narrow(held: Case, wanted: Readonly<Record<string, unknown>>): string {
    const narrowing = this.#parts.narrowing[held.kind];
    if (narrowing === undefined) {
      throw new Problem("VALIDATION_ERROR", "This is approved as it was asked for, or not at all.", {
        why: "Leave `granted` out. Only permissions can be granted for less than what was asked for.",
      });
    }
    return narrowing.narrow(held, grantedOf(held), wanted);
  }

  async #cancel(
    caller: Pick<Caller, "tenantId" | "actor" | "request">,
    id: ApprovalId,
    reason: string | null,
  ): Promise<Case> {
    const by = byOf(caller);
    return settled(
      await this.#parts.desks.run(caller.tenantId, (desk) => desk.cancel(id, reason, by)),
      "cancelled",
    );
  }
}

/** `wanted`: the status that was to be reached: what has it already, by an answer that got lost, is done. */
function settled(answered: Answered, wanted: CaseStatus | null): Case {
  switch (answered.kind) {
    case "ok":
      return answered.held;
    case "unknown":
      throw notFound();
    case "answered":
      throw new Problem("CONFLICT", "You have approved this already, and otherwise.", {
        why: "Cancel it, and have it asked for again.",
      });
    case "recheck":
    case "over":
      if (answered.held.status === wanted) return answered.held;
      throw new Problem("CONFLICT", `This does not wait for that any more: it is ${answered.held.status}.`);
  }
}

function ownedBy(agentId: AgentId, held: Case | null): Case {
  if (held === null || held.agentId !== agentId) throw notFound();
  return held;
}

function byOf({ actor, request }: Pick<Caller, "actor" | "request">): By {
  const { ip, userAgent, requestId } = request;
  return { actor, ip, userAgent, requestId };
}

function notFound(): Problem {
  return new Problem("NOT_FOUND", "There is no such request for approval.");
}
