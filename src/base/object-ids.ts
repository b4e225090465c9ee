import { type Jurisdiction, jurisdictionOf } from "./jurisdiction.ts";
import { Problem } from "./problem.ts";

/** A Durable Object namespace as far as ids are made with it. */
export interface Homes {
  idFromName(name: string): DurableObjectId;
  jurisdiction?(jurisdiction: Jurisdiction): Homes;
}

const warned = new Set<Jurisdiction>();

/**
 * The id of an object named by a tenant's or a token's id, or by what begins with one: it lives in its jurisdiction and
 * nowhere else. Throws MISCONFIGURED where the platform knows no jurisdictions (workerd by itself does not), but for
 * `environment` "development", which is told.
 */
export function objectIdFor(homes: Homes, environment: string, name: string): DurableObjectId {
  const jurisdiction = jurisdictionOf(name);
  if (jurisdiction === null) return homes.idFromName(name);
  let there: Homes | undefined;
  try {
    there = homes.jurisdiction?.(jurisdiction);
  } catch (error) {
    if (!(error instanceof Error && error.message.includes("not implemented"))) throw error;
  }
  if (there !== undefined) return there.idFromName(name);
  if (environment !== "development") {
    throw new Problem("MISCONFIGURED", `This platform cannot keep a tenant's data in "${jurisdiction}".`);
  }
  if (!warned.has(jurisdiction)) {
    warned.add(jurisdiction);
    console.error(
      JSON.stringify({ at: "jurisdiction", jurisdiction, warning: "not kept there: development only" }),
    );
  }
  return homes.idFromName(name);
}
