import { ask } from "./api.ts";

export interface Agent {
  readonly id: string;
  readonly name: string;
  readonly trust_tier: string;
}

const known = new Map<string, Promise<Agent | null>>();

/** An agent by its id; null where it is not there any more, or not to be seen. */
export function agent(id: string): Promise<Agent | null> {
  const found = known.get(id);
  if (found !== undefined) return found;
  const asked = ask<Agent>("GET", `/v1/agents/${id}`).catch(() => {
    known.delete(id);
    return null;
  });
  known.set(id, asked);
  return asked;
}
