import type { Clock } from "../base/clock.ts";
import { DEFAULT_LIMITS } from "../connections/limits.ts";
import type { ConnectionLimits } from "../connections/schemas.ts";
import type { GateLease, Leases } from "../identity/leases.ts";
import { LEASE_MS } from "../identity/leases.ts";
import type { Grant } from "../tokens/grant.ts";
import { isInLine } from "../tokens/line.ts";
import { isBelowWatermark, type UseTargets } from "../tokens/watermarks.ts";
import type { Deadline } from "./deadline.ts";
import type { Flow, Side } from "./redact/flow.ts";

/** Why the gateway ended a stream, as the ledger tells it. */
export type CutCode =
  /** The token was revoked: by itself, or with its agent, connection, secret, class or tenant. */
  | "REVOKED_MIDWAY"
  | "TENANT_FROZEN"
  /** The gate did not answer for as long as a lease lives. */
  | "UNAVAILABLE"
  | "TOKEN_EXPIRED"
  /** The upstream sent nothing, or the agent took nothing, for as long as the connection allows. */
  | "UPSTREAM_IDLE"
  | "AGENT_IDLE"
  | "WEBSOCKET_IDLE";

export class Cut extends Error {
  override readonly name = "Cut";
  readonly code: CutCode;

  constructor(code: CutCode) {
    super(code);
    this.code = code;
  }
}

/** The time that a check which comes late (the isolate stood still) still has to ask the gate. */
const LEAST_PATIENCE_MS = 1_000;

/**
 * A call's right to go on while its answer passes. From L/2 after its beginning it is held against a lease that is
 * renewed every L/2, by a timer and not by what passes, so that a silent stream ends as well. From L after its beginning
 * there is always a lease that was asked for less than L ago, or the stream is cut: what the gate knows reaches it
 * within L (attack 66).
 *
 * Each stream has a timer of its own, since a timer lives and dies with its request; they fall on the same time, and
 * one of them asks the gate for all. A call that ends within L/2 pays for none of it.
 */
export class OpenStream implements Flow {
  readonly #parts: StreamParts;
  readonly #idleMs: number;
  #side: Side = "upstream";
  #movedAt: number;
  #checkAt: number;
  #confirmBy: number;
  #isOver = false;
  #cut: Cut | null = null;
  #onCut: ((cut: Cut) => void) | null = null;

  constructor(parts: StreamParts) {
    this.#parts = parts;
    this.#idleMs = idleSeconds(parts) * 1000;
    const now = parts.clock();
    this.#movedAt = now;
    this.#checkAt = now + LEASE_MS / 2;
    this.#confirmBy = now + LEASE_MS;
    this.#wake();
  }

  moved(side: Side): void {
    this.#side = side;
    this.#movedAt = this.#parts.clock();
  }

  onCut(run: (cut: Cut) => void): void {
    this.#onCut = run;
    if (this.#cut !== null) run(this.#cut);
  }

  /** It is over; why the gateway cut it, if it did. */
  end(): CutCode | null {
    this.#isOver = true;
    return this.#cut?.code ?? null;
  }

  /** `work`, or a rejection with the `Cut` where the stream is cut before it is done. */
  during<T>(work: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.onCut(reject);
      work.then(resolve, reject);
    });
  }

  #wake(): void {
    const { deadline, kind, grant } = this.#parts;
    const until = kind === "websocket" ? grant.expiresAt : Number.POSITIVE_INFINITY;
    deadline.wakeAt(Math.min(this.#checkAt, this.#movedAt + this.#idleMs, until), () => {
      this.#look().catch(() => this.#end("UNAVAILABLE"));
    });
  }

  async #look(): Promise<void> {
    if (this.#isOver) return;
    const code = this.#dueBy(this.#parts.clock()) ?? (await this.#check());
    if (this.#isOver) return;
    if (code === null) this.#wake();
    else this.#end(code);
  }

  #end(code: CutCode): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cut = new Cut(code);
    this.#onCut?.(this.#cut);
  }

  #dueBy(now: number): CutCode | null {
    const { grant, kind } = this.#parts;
    if (kind === "websocket" && now >= grant.expiresAt) return "TOKEN_EXPIRED";
    if (now < this.#movedAt + this.#idleMs) return null;
    if (kind === "websocket") return "WEBSOCKET_IDLE";
    return this.#side === "upstream" ? "UPSTREAM_IDLE" : "AGENT_IDLE";
  }

  async #check(): Promise<CutCode | null> {
    const { leases, grant, targets, clock, waitUntil } = this.#parts;
    const now = clock();
    // Further off than it ever is: the clock was set back.
    const isEarly = now < this.#checkAt && this.#checkAt - now <= LEASE_MS / 2;
    if (isEarly) return null;
    const until = Math.min(Math.max(this.#confirmBy, now + LEAST_PATIENCE_MS), now + LEASE_MS);
    const lease = await leases.renewed(grant.tenantId, until, waitUntil);
    if (lease === null) return "UNAVAILABLE";
    this.#checkAt = lease.askedAt + LEASE_MS / 2;
    this.#confirmBy = lease.askedAt + LEASE_MS;
    return endedBy(lease, grant, targets);
  }
}

export interface StreamParts {
  readonly kind: "body" | "websocket";
  readonly grant: Grant;
  /** What the call was decided on. */
  readonly targets: UseTargets;
  readonly limits: ConnectionLimits;
  readonly leases: Pick<Leases, "renewed">;
  readonly deadline: Pick<Deadline, "wakeAt">;
  readonly clock: Clock;
  readonly waitUntil: (promise: Promise<unknown>) => void;
}

function idleSeconds({ kind, limits }: StreamParts): number {
  return kind === "websocket"
    ? (limits.websocket_idle_seconds ?? DEFAULT_LIMITS.websocket_idle_seconds)
    : (limits.response_idle_seconds ?? DEFAULT_LIMITS.response_idle_seconds);
}

/** Whether a lease ends what a grant has begun, and why. */
export function endedBy(lease: GateLease, grant: Grant, targets: UseTargets): CutCode | null {
  if (lease.frozen) return "TENANT_FROZEN";
  const revokedUntil = Math.max(lease.revokedUntil[grant.agentId] ?? 0, lease.revokedUntil["*"] ?? 0);
  const isRevoked =
    (grant.ancestors[0] ?? grant).issuedAt <= revokedUntil ||
    isInLine(grant, lease.revoked) ||
    isBelowWatermark(grant, lease.watermarks, targets);
  return isRevoked ? "REVOKED_MIDWAY" : null;
}
