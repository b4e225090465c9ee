import { setTimeout as sleep } from "node:timers/promises";
import type { Lab } from "./support.ts";

/** A policy for each of some connections, by slug; resolves when they count everywhere. */
export async function makePolicies(lab: Lab, policies: Readonly<Record<string, object>>): Promise<void> {
  let effectiveAt = 0;
  for (const [slug, content] of Object.entries(policies)) {
    const policy = { name: slug, connections: [slug], ...content };
    const made = await lab.tenant.admin.must("POST", "/v1/policies", policy);
    effectiveAt = Math.max(effectiveAt, Date.parse(made.effective_at));
  }
  await sleep(Math.max(0, effectiveAt - Date.now()) + 5);
}
