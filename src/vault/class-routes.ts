import type { Api } from "../api/context.ts";
import { declareFor } from "../base/endpoint.ts";
import { respondChange } from "../base/respond-change.ts";
import { classRotatedSchema } from "./responses.ts";
import { classRotationSchema } from "./schemas.ts";

const endpoint = declareFor<Api>();

/** `/v1/rotate-class`: where a whole class of credentials leaked. */
export const classEndpoints = [
  endpoint({
    method: "POST",
    path: "/v1/rotate-class",
    operationId: "rotateClass",
    tag: "Secrets",
    summary: "Break glass: revoke what reaches a class of secrets, and have each of them replaced",
    description:
      "In one change every token issued before is refused for the secrets of the class, and each of them is marked `rotation_due` until it has a new value. Values are not replaced: their providers have them.",
    access: { roles: ["admin"] },
    body: classRotationSchema,
    responses: { 200: classRotatedSchema },
    change: true,
    stepUp: true,
    handler: async ({ caller, body, c }) => {
      const rotated = await c.get("services").classRotation.rotate(caller, body.class, body.reason);
      const answer = {
        class: body.class,
        reason: body.reason,
        revoked_before: new Date(rotated.revokedBefore).toISOString(),
        secrets: rotated.secrets.map(({ secret, connections }) => ({
          path: secret.path,
          secret_type: secret.secretType,
          access_tier: secret.accessTier,
          connections,
        })),
        count: rotated.count,
        next_cursor: rotated.nextCursor,
      };
      return respondChange(c, answer, rotated);
    },
  }),
];
