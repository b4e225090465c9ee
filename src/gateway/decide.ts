import { Problem } from "../base/problem.ts";
import { checkUse, type SealedSecrets } from "../credentials/obtain.ts";
import type { GateLease } from "../identity/leases.ts";
import { isBelowWatermark } from "../tokens/watermarks.ts";
import type { SealedSecret } from "../vault/vault.ts";
import { checkPlace, unauthorized } from "./authenticate.ts";
import { authorize, type Decision, mayCall } from "./authorize.ts";
import type { AgentCall } from "./call.ts";
import type { Gateway } from "./gateway.ts";
import { findReferences } from "./references.ts";
import { compileRoute, type Route } from "./route.ts";
import { type Draft, draftOutgoing } from "./inject.ts";

/** A call that may go on, and what it needs to: decided on one epoch. */
export interface Decided {
  readonly route: Route;
  readonly sealed: SealedSecrets;
  readonly references: ReadonlySet<string>;
  readonly draft: Draft;
}

/** Resolves and authorizes a call under a lease; throws the Problem the agent will see. */
export async function decideCall(gateway: Gateway, call: AgentCall, lease: GateLease): Promise<Decided> {
  const { grant, addressed } = call;
  if (isBelowWatermark(grant, lease.watermarks, { connection: addressed.slug, secrets: [], classes: [] })) {
    throw unauthorized();
  }
  orThrow(mayCall(grant, addressed.slug));
  const { value: connection } = await gateway.connections.find(grant.tenantId, addressed.slug, lease.epoch);
  if (connection === null) {
    throw new Problem("NOT_FOUND", `There is no connection "${addressed.slug}".`, {
      why: "An editor of this tenant can make one.",
    });
  }
  const route = compileRoute(connection, gateway.rules);
  checkPlace(call.presented.place, route.tokenIn);
  orThrow(authorize(grant, lease, route, call));
  const draft = await draftOutgoing(call, route);
  const references = findReferences(draft.outgoing, route, grant);
  const sealed = await sealedSecrets(gateway, call, route, references, lease.epoch);
  const used = Object.values(sealed);
  const targets = {
    connection: route.slug,
    secrets: used.map(({ path }) => path),
    classes: used.flatMap(({ tier, secretType }) => [tier, secretType]),
  };
  if (isBelowWatermark(grant, lease.watermarks, targets)) throw unauthorized();
  return { route, sealed, references, draft };
}

async function sealedSecrets(
  gateway: Gateway,
  call: AgentCall,
  route: Route,
  references: ReadonlySet<string>,
  epoch: number,
): Promise<SealedSecrets> {
  const sealed: Record<string, SealedSecret> = {};
  const wanted: (readonly [name: string, path: string])[] = Object.entries(route.secrets);
  for (const path of references) wanted.push([path, path]);
  for (const [name, path] of wanted) {
    const { value } = await gateway.vault.sealed(call.grant.tenantId, path, epoch);
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
    checkUse(value, route.destination);
    sealed[name] = value;
  }
  return sealed;
}

function orThrow(decision: Decision): void {
  if (decision.kind === "allow") return;
  throw new Problem(decision.code, decision.detail, { why: decision.why });
}
