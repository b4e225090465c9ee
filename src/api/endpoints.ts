import { ownApprovalEndpoints } from "../approvals/agent-routes.ts";
import { approvalEndpoints } from "../approvals/routes.ts";
import { metricsEndpoints } from "../audit/metrics-routes.ts";
import { auditEndpoints } from "../audit/routes.ts";
import type { Endpoint } from "../base/endpoint.ts";
import { budgetEndpoints } from "../budgets/routes.ts";
import { connectionEndpoints, providerEndpoints } from "../connections/routes.ts";
import { agentEndpoints } from "../identity/agent-routes.ts";
import { enrolmentEndpoints } from "../identity/enrolment-routes.ts";
import { identityProviderEndpoints } from "../identity/identity-provider-routes.ts";
import { memberEndpoints } from "../identity/member-routes.ts";
import { passkeyEndpoints } from "../identity/passkey-routes.ts";
import { tenantEndpoints } from "../identity/routes.ts";
import { sessionEndpoints } from "../identity/session-routes.ts";
import { signInEndpoints } from "../identity/sign-in-routes.ts";
import { actionEndpoints } from "../permissions/action-routes.ts";
import { permissionEndpoints } from "../permissions/routes.ts";
import { policyEndpoints } from "../policies/routes.ts";
import { trialEndpoints } from "../policies/trial-routes.ts";
import { deliveryEndpoints } from "../notifications/delivery-routes.ts";
import { webhookEndpoints } from "../notifications/routes.ts";
import { childTokenEndpoints } from "../tokens/child-routes.ts";
import { trustEndpoints } from "../identity/trust-routes.ts";
import { oauthEndpoints } from "../tokens/oauth-routes.ts";
import { tokenEndpoints } from "../tokens/routes.ts";
import { classEndpoints } from "../vault/class-routes.ts";
import { namespaceEndpoints } from "../vault/namespace-routes.ts";
import { secretEndpoints } from "../vault/routes.ts";
import { revealEndpoints } from "../vault/reveal-routes.ts";
import { explainEndpoints } from "./explain.ts";
import { healthEndpoints } from "./health.ts";
import { meEndpoints } from "./me.ts";
import { approvalsPageEndpoints } from "./pages/approvals-page.ts";
import { signInPageEndpoints } from "./pages/sign-in-page.ts";
import { referenceEndpoints } from "./reference.ts";
import { securityTxtEndpoints } from "./security-txt.ts";

/** Everything the control plane answers to. What is not in this table does not exist. */
export const ENDPOINTS: readonly Endpoint[] = [
  ...healthEndpoints,
  ...securityTxtEndpoints,
  ...meEndpoints,
  ...explainEndpoints,
  ...tenantEndpoints,
  ...memberEndpoints,
  ...identityProviderEndpoints,
  ...signInEndpoints,
  ...signInPageEndpoints,
  ...passkeyEndpoints,
  ...enrolmentEndpoints,
  ...sessionEndpoints,
  ...agentEndpoints,
  ...trustEndpoints,
  ...tokenEndpoints,
  ...oauthEndpoints,
  ...childTokenEndpoints,
  ...secretEndpoints,
  ...classEndpoints,
  ...namespaceEndpoints,
  ...revealEndpoints,
  ...connectionEndpoints,
  ...budgetEndpoints,
  ...providerEndpoints,
  ...trialEndpoints,
  ...policyEndpoints,
  ...actionEndpoints,
  ...permissionEndpoints,
  ...ownApprovalEndpoints,
  ...approvalEndpoints,
  ...approvalsPageEndpoints,
  ...webhookEndpoints,
  ...deliveryEndpoints,
  ...auditEndpoints,
  ...metricsEndpoints,
  ...referenceEndpoints(() => ENDPOINTS),
];
