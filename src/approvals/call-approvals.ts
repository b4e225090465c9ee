import type { z } from "zod";
import type { ApprovalId, TenantId } from "../base/ids.ts";
import { Redacted } from "../base/redacted.ts";
import type { SealedTexts } from "../vault/sealed-text.ts";
import type { AskedCall, CallApprovals, Claim } from "./claims.ts";
import { type AskedCase, shownNameOf } from "./desk.ts";
import type { Desks } from "./desks.ts";
import type { callPayloadSchema, ShownCall } from "./shown-schema.ts";

/** What the gateway asks of the tenant's desk about calls. */
export class CallsAtDesk implements CallApprovals {
  readonly #desks: Pick<Desks, "claim" | "release" | "run">;
  readonly #sealed: Pick<SealedTexts, "seal">;

  constructor(parts: {
    readonly desks: Pick<Desks, "claim" | "release" | "run">;
    readonly sealed: Pick<SealedTexts, "seal">;
  }) {
    this.#desks = parts.desks;
    this.#sealed = parts.sealed;
  }

  claim(asked: AskedCall, callId: string): Promise<Claim> {
    return this.#desks.claim(asked, callId, () => this.#caseOf(asked));
  }

  release(tenantId: TenantId, approvalId: ApprovalId, callId: string): Promise<void> {
    return this.#desks.release(tenantId, approvalId, callId);
  }

  async decided(tenantId: TenantId, approvalId: ApprovalId, milliseconds: number): Promise<void> {
    const within = milliseconds + ANSWER_MS;
    await this.#desks.run(tenantId, (desk) => desk.decided(approvalId, "usable", milliseconds), within);
  }

  async #caseOf(asked: AskedCall): Promise<AskedCase> {
    const { tenantId, agentId, tokenId, digest, connection, delaySeconds, tier, policies, users } = asked;
    const shown = asked.shown();
    const { ip, userAgent, requestId } = asked.info;
    const text = new Redacted(JSON.stringify(shown));
    return {
      ...{
        kind: "call",
        tenantId,
        agentId,
        tokenId,
        digest,
        connection,
        delaySeconds,
        tier,
        policies,
        users,
      },
      approvalsNeeded: asked.approvals,
      payload: JSON.stringify(payloadOf(shown)),
      // It says what is in the body: as confidential as what the vault holds.
      sealed: await this.#sealed.seal(tenantId, shownNameOf(digest), text),
      by: { actor: `agent:${agentId}`, ip, userAgent, requestId },
    };
  }
}

/** The desk's answer itself takes a moment. */
const ANSWER_MS = 5_000;

function payloadOf({ method, host, path, provider }: ShownCall): z.infer<typeof callPayloadSchema> {
  return { method, host, path, provider };
}
