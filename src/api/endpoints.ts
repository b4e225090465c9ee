import { auditEndpoints } from "../audit/routes.ts";
import type { Endpoint } from "../base/endpoint.ts";
import { connectionEndpoints, providerEndpoints } from "../connections/routes.ts";
import { agentEndpoints } from "../identity/agent-routes.ts";
import { tenantEndpoints } from "../identity/routes.ts";
import { sessionEndpoints } from "../identity/session-routes.ts";
import { tokenEndpoints } from "../tokens/routes.ts";
import { namespaceEndpoints, secretEndpoints } from "../vault/routes.ts";
import { healthEndpoints } from "./health.ts";
import { meEndpoints } from "./me.ts";
import { referenceEndpoints } from "./reference.ts";

/** Everything the control plane answers to. What is not in this table does not exist. */
export const ENDPOINTS: readonly Endpoint[] = [
  ...healthEndpoints,
  ...meEndpoints,
  ...tenantEndpoints,
  ...sessionEndpoints,
  ...agentEndpoints,
  ...tokenEndpoints,
  ...secretEndpoints,
  ...namespaceEndpoints,
  ...connectionEndpoints,
  ...providerEndpoints,
  ...auditEndpoints,
  ...referenceEndpoints(() => ENDPOINTS),
];
