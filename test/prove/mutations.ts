import { ADDRESS } from "./address.ts";
import { APPROVAL_CALLS } from "./approval-calls.ts";
import { APPROVALS } from "./approvals.ts";
import { AUDIT } from "./audit.ts";
import { BUDGETS } from "./budgets.ts";
import { CHILD_TOKENS } from "./children.ts";
import { CONCURRENCY } from "./concurrency.ts";
import { CRYPTO } from "./crypto.ts";
import { DESTINATION } from "./destination.ts";
import { ECHOES } from "./echo.ts";
import { FAILURE } from "./failure.ts";
import { HEADER } from "./headers.ts";
import { IDENTITY } from "./identity.ts";
import { LOAD } from "./load.ts";
import type { Mutation } from "./mutation.ts";
import { NOTIFICATIONS } from "./notifications.ts";
import { PAGES } from "./pages.ts";
import { PASSKEYS } from "./passkeys.ts";
import { PATH } from "./path.ts";
import { PEOPLE } from "./people.ts";
import { PERMITTED } from "./permissions.ts";
import { POLICIES } from "./policies.ts";
import { REDIRECT } from "./redirect.ts";
import { TOKEN } from "./token.ts";

/** By the sections of the list of attacks. */
export const MUTATIONS: readonly Mutation[] = [
  ...DESTINATION,
  ...REDIRECT,
  ...PATH,
  ...POLICIES,
  ...PERMITTED,
  ...HEADER,
  ...ECHOES,
  ...TOKEN,
  ...IDENTITY,
  ...ADDRESS,
  ...CONCURRENCY,
  ...BUDGETS,
  ...CHILD_TOKENS,
  ...FAILURE,
  ...CRYPTO,
  ...AUDIT,
  ...LOAD,
  ...PEOPLE,
  ...PASSKEYS,
  ...PAGES,
  ...NOTIFICATIONS,
  ...APPROVALS,
  ...APPROVAL_CALLS,
];
