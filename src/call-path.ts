import { requireFresh } from "./api/step-up.ts";
import { Approvers } from "./approvals/approvers.ts";
import { CallApprovals } from "./approvals/call-approvals.ts";
import { Desks } from "./approvals/desks.ts";
import { type Clock, systemClock } from "./base/clock.ts";
import type { TenantId, TokenId } from "./base/ids.ts";
import { Budgets } from "./budgets/budgets.ts";
import { Connections } from "./connections/connections.ts";
import { parseCredential } from "./credentials/kinds.ts";
import { Credentials } from "./credentials/obtain.ts";
import type { Gateway } from "./gateway/gateway.ts";
import { Kinship } from "./identity/kinship.ts";
import { GatedChanges } from "./identity/tenant-changes.ts";
import { type Isolate, isolateOf, rulesFor } from "./isolate.ts";
import { budgetBookOf, deskOf, gateOf, tokenObjectOf } from "./objects.ts";
import { originOf } from "./own-host.ts";
import { noteUsedUp } from "./permissions/used-up.ts";
import { Policies } from "./policies/policies.ts";
import { Admission } from "./tokens/admission.ts";
import type { TokenObject } from "./tokens/charge.ts";
import type { Grant } from "./tokens/grant.ts";
import { SealedTexts } from "./vault/sealed-text.ts";
import { Vault } from "./vault/vault.ts";

/** Every tenant's desk, for whoever asks people. */
export function desksOf(env: Env, { db }: Isolate, clock: Clock): Desks {
  const approvers = new Approvers({ db, clock, kinship: new Kinship({ db, clock }) });
  return new Desks({
    object: (tenantId) => deskOf(env, tenantId),
    entitled: (tenantId, voters) => approvers.entitled(tenantId, voters),
  });
}

export type WaitUntil = (promise: Promise<unknown>) => void;

/** What calls and the control plane both work with, and nothing that calls can do without: made for every request. */
export function createCallPath(env: Env, ownHost: string, waitUntil: WaitUntil, clock: Clock) {
  const isolate = isolateOf(env, clock);
  const { db, audit, signer, leases, memory, hosts, keys } = isolate;
  const rules = rulesFor(env, ownHost, isolate);
  const object = (tokenId: TokenId): TokenObject => tokenObjectOf(env, tokenId, memory.objectIds);
  const changes = new GatedChanges({ db, gate: (tenantId) => gateOf(env, tenantId), audit, waitUntil });
  const onEvents = (tenantId: TenantId): void => waitUntil(changes.flush(tenantId));
  const vault = new Vault({ db, keys, changes, clock, waitUntil, onEvents });
  const connections = new Connections({ db, changes, vault, parseCredential, rules, clock, waitUntil });
  const policies = new Policies({
    ...{ db, changes, clock, waitUntil },
    requireFresh: (caller) => requireFresh(caller, clock()),
    requireVetted: (caller) => new Kinship({ db, clock }).requireVetted(caller),
  });
  const budgets = new Budgets({
    ...{ db, changes, clock, waitUntil, holder: object },
    book: (tenantId, budgetId) => budgetBookOf(env, tenantId, budgetId),
  });
  const onUsedUp = (grant: Grant): Promise<void> => noteUsedUp({ db, clock, onEvents }, grant);
  const admission = new Admission({ db, signer, memory, object, clock, waitUntil, onUsedUp });
  const credentials = new Credentials({ vault });
  const gateway: Gateway = {
    admission,
    leases,
    connections,
    policies,
    budgets,
    vault,
    // Few calls have to wait for people: the others make nothing of it.
    get approvals() {
      return new CallApprovals({ desks: desksOf(env, isolate, clock), sealed: new SealedTexts(keys) });
    },
    credentials,
    hosts,
    rules,
    origin: originOf(env, ownHost),
    fetch: (url, init) => fetch(url, init),
    clock,
    waitUntil,
  };
  return { isolate, object, changes, vault, connections, policies, budgets, admission, gateway };
}

/** The call path alone. `ownHost` is the `host[:port]` the request came in by. */
export function createGateway(env: Env, ownHost: string, waitUntil: WaitUntil): Gateway {
  return createCallPath(env, ownHost, waitUntil, systemClock).gateway;
}
