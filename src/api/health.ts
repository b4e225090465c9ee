import { z } from "zod";
import { declareFor } from "../base/endpoint.ts";
import type { Api } from "./context.ts";

const healthSchema = z.strictObject({
  status: z.literal("ok"),
  version: z.string(),
  warnings: z.array(z.string()).optional().describe("What the operator should mend."),
});

const endpoint = declareFor<Api>();

export const healthEndpoints = [
  endpoint({
    method: "GET",
    path: "/v1/health",
    operationId: "getHealth",
    tag: "Deployment",
    summary: "Whether the gateway is up, and which version it is",
    access: "public",
    responses: { 200: healthSchema },
    handler: ({ c }) => {
      const { version, warnings } = c.get("services").deployment;
      return c.json({ status: "ok", version, ...(warnings.length > 0 ? { warnings } : {}) });
    },
  }),
];
