import { Problem } from "../base/problem.ts";
import { frozen } from "../tokens/denial.ts";
import { unauthorized } from "./authenticate.ts";
import type { Cut } from "./open-streams.ts";

/** What the agent is told where the gateway ended a call of whose answer it had seen nothing yet. */
export function afterCut(cut: Cut): Problem {
  const why = "The call may have been carried out: look before you repeat it.";
  switch (cut.code) {
    case "REVOKED_MIDWAY":
    case "TOKEN_EXPIRED":
      return unauthorized();
    case "TENANT_FROZEN":
      return frozen();
    case "UNAVAILABLE":
      return new Problem("UNAVAILABLE", "The token could not be confirmed while the upstream answered.", {
        cause: cut,
        why,
      });
    case "UPSTREAM_IDLE":
    case "AGENT_IDLE":
    case "WEBSOCKET_IDLE":
      return new Problem("UPSTREAM_TIMEOUT", "The upstream fell silent in the middle of its answer.", {
        cause: cut,
        why,
      });
  }
}
