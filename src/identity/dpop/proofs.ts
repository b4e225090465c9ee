import type { Clock } from "../../base/clock.ts";
import { Problem } from "../../base/problem.ts";
import { ALGORITHMS } from "../oidc/algorithms.ts";
import { checkPresented, clientUrl, type Presented, type PresentedVerdict } from "./presented.ts";
import { singleProof, verifyProof } from "./verify.ts";

/** Proofs of keys on the control plane. */
export class Proofs {
  readonly #origin: string;
  readonly #clock: Clock;
  /** What proofs may be signed with. */
  readonly algorithms = ALGORITHMS;

  /** `origin`: under which clients know this gateway. */
  constructor(parts: { readonly origin: string; readonly clock: Clock }) {
    this.#origin = parts.origin;
    this.#clock = parts.clock;
  }

  /**
   * The thumbprint of the key that a request for a token proves (RFC 9449 §5), to which the token will be bound; null
   * where it proves none. Throws VALIDATION_ERROR for a proof that is not good.
   *
   * It is not remembered: seen once more, it gets a token that only the same key can use.
   */
  async keyOf(request: Request): Promise<string | null> {
    const header = request.headers.get("dpop");
    if (header === null) return null;
    const proof = singleProof(header);
    const url = clientUrl(this.#origin, request.url);
    const verdict =
      proof === null ? null : await verifyProof({ proof, method: request.method, url, now: this.#clock() });
    if (verdict?.kind === "ok") return verdict.thumbprint;
    throw new Problem("VALIDATION_ERROR", "The DPoP proof is not one for this request.", {
      oauth: "invalid_dpop_proof",
      why: `Send one proof, made within the last minute, with \`htm\` ${request.method} and this request's URL as \`htu\`.`,
    });
  }

  /** Whether the sender of a token that is bound to `jkt` (null: to none) may use it. */
  check(presented: Presented, jkt: string | null): Promise<PresentedVerdict> {
    return checkPresented(presented, jkt, this.#clock());
  }
}
