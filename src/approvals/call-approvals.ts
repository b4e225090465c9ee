import type { z } from "zod";
import type { ApprovalId, TenantId } from "../base/ids.ts";
import { Redacted } from "../base/redacted.ts";
import type { RequestInfo } from "../base/request.ts";
import type { SealedTexts } from "../vault/sealed-text.ts";
import type { NewCase } from "./case.ts";
import { type AskedCase, type Claim, shownNameOf } from "./desk.ts";
import type { Desks } from "./desks.ts";
import type { callPayloadSchema, ShownCall } from "./shown-schema.ts";

/** One exact call that people have to answer. */
export interface AskedCall extends Omit<NewCase, "kind" | "payload" | "approvalsNeeded"> {
  readonly tenantId: TenantId;
  readonly approvals: number;
  /** From where, and of which request. */
  readonly info: RequestInfo;
  /** What people are shown (shown-schema.ts). Sealed before it is stored; asked for only where the request is new. */
  readonly shown: () => ShownCall;
}

/** What the gateway asks of the tenant's desk about calls. Every method throws UNAVAILABLE where that does not answer. */
export class CallApprovals {
  readonly #desks: Pick<Desks, "claim" | "release" | "decided">;
  readonly #sealed: Pick<SealedTexts, "seal">;

  constructor(parts: {
    readonly desks: Pick<Desks, "claim" | "release" | "decided">;
    readonly sealed: Pick<SealedTexts, "seal">;
  }) {
    this.#desks = parts.desks;
    this.#sealed = parts.sealed;
  }

  /** As `Desks.claim`, of exactly this call. */
  claim(asked: AskedCall, useId: string): Promise<Claim> {
    return this.#desks.claim(asked, useId, () => this.#caseOf(asked));
  }

  /** The call did not leave after all: what this use has claimed may be claimed again. */
  release(tenantId: TenantId, approvalId: ApprovalId, useId: string): Promise<void> {
    return this.#desks.release(tenantId, approvalId, useId);
  }

  /**
   * Resolves once it is decided (approved and its delay over, denied, expired, cancelled), or after `milliseconds`. Throws
   * RATE_LIMITED where too many wait already.
   */
  async decided(tenantId: TenantId, approvalId: ApprovalId, milliseconds: number): Promise<void> {
    await this.#desks.decided(tenantId, approvalId, "usable", milliseconds);
  }

  async #caseOf({ info, approvals, shown, ...asked }: AskedCall): Promise<AskedCase> {
    const { tenantId, agentId, digest } = asked;
    const { ip, userAgent, requestId } = info;
    const call = shown();
    const text = new Redacted(JSON.stringify(call));
    return {
      ...{ ...asked, kind: "call", approvalsNeeded: approvals, payload: JSON.stringify(payloadOf(call)) },
      // It says what is in the body: as confidential as what the vault holds.
      sealed: await this.#sealed.seal(tenantId, shownNameOf(digest), text),
      by: { actor: `agent:${agentId}`, ip, userAgent, requestId },
    };
  }
}

function payloadOf({ method, host, path, provider }: ShownCall): z.infer<typeof callPayloadSchema> {
  return { method, host, path, provider };
}
