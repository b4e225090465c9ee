import type { AtEpoch } from "../base/epoch-cache.ts";
import type { TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { BudgetSet, Reservation } from "../budgets/budget-set.ts";
import type { RequestView } from "../policies/request-view.ts";
import type { PolicyReads, PolicySet, PolicyVerdict } from "../policies/verdict.ts";
import type { Tally } from "../tokens/permission.ts";
import type { Connection } from "../connections/connection.ts";
import { checkUse, type SealedSecrets } from "../credentials/obtain.ts";
import type { GateLease } from "../identity/leases.ts";
import { isBelowWatermark, type UseTargets } from "../tokens/watermarks.ts";
import type { SealedSecret } from "../vault/vault.ts";
import { checkPlace, unauthorized } from "./authenticate.ts";
import { authorize, type Decision, isMethodFree, mayCall } from "./authorize.ts";
import type { AgentCall } from "./call.ts";
import type { Gateway } from "./gateway.ts";
import { ALL, type Ask, askedBy, factsOf, lookersAt, permittedBy } from "./policing.ts";
import { viewOf } from "./policing-view.ts";
import { readsWith, reservationOf } from "./meter-call.ts";
import { findReferences } from "./references.ts";
import { compileRoute, type Route } from "./route.ts";
import { type Draft, draftOutgoing, takeBody } from "./inject.ts";

/** A call that may go on, and what it needs to: decided on one epoch. */
export interface Decided {
  readonly route: Route;
  readonly sealed: SealedSecrets;
  readonly references: ReadonlySet<string>;
  readonly draft: Draft;
  /** What a bulk revocation may reach it by: an open stream is held against the same. */
  readonly targets: UseTargets;
  /** What the call was decided on; where `ask` is not null, all of it was read: `draft.outgoing.body` is what is sent. */
  readonly view: RequestView;
  /** Null where nobody has to be asked. */
  readonly ask: Ask | null;
  /** What the token's permission counts of it, to be charged with it. */
  readonly tallies: readonly Tally[];
  /** What it reserves of budgets, to be charged with it; null: none apply. */
  readonly reservation: Reservation | null;
}

const ROUNDS = 3;

/** What a call is held against before it is charged, in this order; the token, in bulk, once more at the end. */
export type DecisionStep =
  | "address"
  | "token"
  | "scope"
  | "connection"
  | "request"
  | "rules"
  | "body"
  | "references"
  | "secrets"
  | "policies"
  | "permission"
  | "budgets";

/** Is told how far a decision has come: what was announced before a refusal is why it came. */
export interface DecisionTrace {
  /** The step that begins. */
  step(name: DecisionStep): void;
  /** The connection is known, and the path as it would be sent. */
  at(route: Route, path: string): void;
  /** What is looked into by whoever decides. */
  looked(reads: PolicyReads): void;
  /** What the policies say, where any apply. */
  policed(verdict: PolicyVerdict): void;
  /** The constraint of the token's permission that is not met. */
  constrained(constraint: string): void;
}

const UNTRACED: DecisionTrace = {
  step: () => undefined,
  at: () => undefined,
  looked: () => undefined,
  policed: () => undefined,
  constrained: () => undefined,
};

/** Resolves and authorizes a call under a lease; throws the Problem the agent will see. */
export async function decideCall(
  gateway: Gateway,
  call: AgentCall,
  lease: GateLease,
  trace: DecisionTrace = UNTRACED,
): Promise<Decided> {
  trace.step("address");
  if (call.info.ip === null) {
    throw new Problem("ADDRESS_DENIED", "The platform did not say which address this call comes from.");
  }
  let { epoch } = lease;
  for (let round = 0; round < ROUNDS; round++) {
    const parts = new Parts(gateway, call.grant.tenantId, epoch);
    const decided = await decideOn(parts, gateway, call, lease, trace);
    if (parts.areOfOneTime) return decided;
    epoch = parts.newest;
  }
  throw new Problem("UNAVAILABLE", "The configuration changed too often to decide this call. Try again.");
}

/** Looks up what a decision needs, and notices where its parts were never all in force at one time. */
class Parts {
  readonly #gateway: Gateway;
  readonly #tenantId: TenantId;
  readonly #epoch: number;
  newest = 0;
  #oldest = Number.POSITIVE_INFINITY;

  constructor(gateway: Gateway, tenantId: TenantId, epoch: number) {
    this.#gateway = gateway;
    this.#tenantId = tenantId;
    this.#epoch = epoch;
  }

  get areOfOneTime(): boolean {
    return this.newest <= this.#epoch || this.#oldest === this.newest;
  }

  async connection(slug: string): Promise<Connection | null> {
    return this.#note(await this.#gateway.connections.find(this.#tenantId, slug, this.#epoch));
  }

  async policies(): Promise<PolicySet> {
    return this.#note(await this.#gateway.policies.find(this.#tenantId, this.#epoch));
  }

  async budgets(): Promise<BudgetSet> {
    return this.#note(await this.#gateway.budgets.find(this.#tenantId, this.#epoch));
  }

  async secret(path: string): Promise<SealedSecret | null> {
    return this.#note(await this.#gateway.vault.sealed(this.#tenantId, path, this.#epoch));
  }

  #note<V>({ epoch, value }: AtEpoch<V>): V {
    this.newest = Math.max(this.newest, epoch);
    this.#oldest = Math.min(this.#oldest, epoch);
    return value;
  }
}

async function decideOn(
  parts: Parts,
  gateway: Gateway,
  call: AgentCall,
  lease: GateLease,
  trace: DecisionTrace,
): Promise<Decided> {
  const { grant, addressed, method } = call;
  trace.step("token");
  if (isBelowWatermark(grant, lease.watermarks, { connection: addressed.slug, secrets: [], classes: [] })) {
    throw unauthorized();
  }
  trace.step("scope");
  orThrow(mayCall(grant, addressed.slug));
  trace.step("connection");
  const [connection, policies, budgets] = await Promise.all([
    parts.connection(addressed.slug),
    parts.policies(),
    parts.budgets(),
  ]);
  if (connection === null) {
    throw new Problem("NOT_FOUND", `There is no connection "${addressed.slug}".`, {
      why: "An editor of this tenant can make one.",
    });
  }
  trace.step("request");
  const route = compileRoute(connection, gateway.rules);
  checkPlace(call.presented, route.tokenIn);
  const head = draftOutgoing(call, route);
  trace.at(route, head.outgoing.path);
  trace.step("rules");
  const { path } = head.outgoing;
  const lookers = lookersAt(policies, route.slug, grant);
  const isPoliced = lookers.policies !== null;
  orThrow(authorize(grant, lease, route, { method, path }, isPoliced));
  const applied = budgets.of(grant.agentId, route.slug);
  const reads = readsWith(lookers.reads, applied);
  trace.looked(reads);
  trace.step("body");
  const interest = {
    isDecidedOn: reads.body || (lookers.size && head.length === null),
    isMethodFree: isMethodFree(grant, lease, route, path, isPoliced || applied?.mindsMethod === true),
  };
  let draft = await takeBody(head, call, route, interest);
  let view = viewOf(draft, route, reads, call.body.isKnown);
  trace.step("references");
  const references = findReferences(draft.outgoing, route, grant);
  trace.step("secrets");
  const sealed = await sealedSecrets(parts, route, references, gateway.clock());
  const used = Object.values(sealed);
  const targets = {
    connection: route.slug,
    secrets: used.map(({ path }) => path),
    classes: used.flatMap(({ tier, secretType }) => [tier, secretType]),
  };
  trace.step("token");
  if (isBelowWatermark(grant, lease.watermarks, targets)) throw unauthorized();
  trace.step("policies");
  let verdict: PolicyVerdict = { kind: "none" };
  if (lookers.policies !== null) {
    verdict = lookers.policies.decide(factsOf(call, route, view, sealed, gateway.clock()));
    trace.policed(verdict);
  }
  const ask = askedBy(verdict, route, view, grant.permission);
  trace.step("permission");
  const tallies = permittedBy(grant, view, route.slug, (constraint) => trace.constrained(constraint));
  if (ask !== null) {
    if (draft.stream !== null) draft = await takeBody(head, call, route, { ...interest, isDecidedOn: true });
    view = viewOf(draft, route, ALL, call.body.isKnown);
  }
  trace.step("budgets");
  const reservation = applied === null ? null : reservationOf(applied, route, view);
  return { route, sealed, references, draft, targets, view, ask, tallies, reservation };
}

async function sealedSecrets(
  parts: Parts,
  route: Route,
  references: ReadonlySet<string>,
  now: number,
): Promise<SealedSecrets> {
  const sealed: Record<string, SealedSecret> = {};
  const wanted: (readonly [name: string, path: string])[] = Object.entries(route.secrets);
  for (const path of references) wanted.push([path, path]);
  for (const [name, path] of wanted) {
    const value = await parts.secret(path);
    if (value === null) {
      if (references.has(path)) throw new Problem("SECRET_NOT_FOUND", `There is no secret at "${path}".`);
      throw new Problem(
        "SECRET_UNUSABLE",
        `The connection "${route.slug}" has no credential at the moment.`,
        {
          why: "An editor of this tenant must store its secret.",
        },
      );
    }
    checkUse(value, route.destination, now);
    sealed[name] = value;
  }
  return sealed;
}

function orThrow(decision: Decision): void {
  if (decision.kind === "allow") return;
  throw new Problem(decision.code, decision.detail, { why: decision.why });
}
