import { beforeAll, describe, expect, test } from "vitest";
import { newId, type TenantId } from "../../../src/base/ids.ts";
import type { PolicyFacts, PolicyVerdict } from "../../../src/policies/verdict.ts";
import { createServices } from "../../../src/services.ts";
import { leaseOf, newTenant, send } from "../api/door.ts";
import { countingEnv } from "../support/counting.ts";
import { type SignedIn, signedIn } from "../support/signed-in.ts";
import { callFacts } from "./call-facts.ts";

const { bindings, counts } = countingEnv();
const { policies } = createServices(bindings, "localhost", () => undefined);

let team: Awaited<ReturnType<typeof newTenant>>;
let person: SignedIn;

beforeAll(async () => {
  team = await newTenant();
  person = await signedIn(team.tenantId, "admin");
});

/** As a call is decided: on the policies at the epoch of a lease. */
async function decided(tenantId: TenantId, facts: PolicyFacts): Promise<PolicyVerdict> {
  const { epoch } = await leaseOf(tenantId);
  return (await policies.find(tenantId, epoch)).value.decide(facts);
}

const post = (body: object) => send("POST", "/v1/policies", { credential: team.editor, body });

describe("what calls are decided on", () => {
  test("is what is in force: changed, disabled, enabled, deleted", async () => {
    const { body } = await post({ name: "p", effect: "deny", condition: 'request.method == "DELETE"' });
    const path = `/v1/policies/${body.id}`;
    const verdict = async () => (await decided(team.tenantId, callFacts({ method: "DELETE" }))).kind;
    const patch = (changes: object) => send("PATCH", path, { headers: person.headers, body: changes });
    expect(await verdict()).toBe("deny");
    expect((await decided(team.tenantId, callFacts({}))).kind).toBe("none");
    await patch({ effect: "require_approval" });
    expect(await verdict()).toBe("require_approval");
    await patch({ enabled: false });
    expect(await verdict()).toBe("none");
    await patch({ enabled: true });
    expect(await verdict()).toBe("require_approval");
    await send("DELETE", path, { headers: person.headers });
    expect(await verdict()).toBe("none");
  });

  test("knows an agent's name and trust tier by its id, as they are now", async () => {
    const made = await send("POST", "/v1/agents", { headers: person.headers, body: { name: "a bot" } });
    const { body: policy } = await post({
      ...{ name: "names", effect: "deny" },
      condition: 'agent.trust_tier == "untrusted" || agent.name == "renamed"',
    });
    const facts = { ...callFacts({}), agent: { id: made.body.id, name: null, trustTier: null } };
    const patch = (body: object) =>
      send("PATCH", `/v1/agents/${made.body.id}`, { credential: team.admin, body });
    expect((await decided(team.tenantId, facts)).kind).toBe("none");
    await patch({ trust_tier: "untrusted" });
    expect(await decided(team.tenantId, facts)).toMatchObject({ kind: "deny", cause: "matched" });
    await patch({ trust_tier: "standard", name: "renamed" });
    expect(await decided(team.tenantId, facts)).toMatchObject({ kind: "deny", cause: "matched" });
    // One that there is not cannot be told anything of: fail closed.
    const stranger = { ...facts, agent: { ...facts.agent, id: newId("agent") } };
    expect(await decided(team.tenantId, stranger)).toMatchObject({ kind: "deny", cause: "error" });
    await send("DELETE", `/v1/policies/${policy.id}`, { headers: person.headers });
  });

  test("is one query for a tenant without policies, and none while nothing changes", async () => {
    const quiet = await newTenant();
    const { epoch } = await leaseOf(quiet.tenantId);
    counts.d1 = 0;
    const first = await policies.find(quiet.tenantId, epoch);
    const cold = counts.d1;
    expect(first.value.readsOf("anything")).toBeNull();
    for (let call = 0; call < 10; call++) await policies.find(quiet.tenantId, epoch);
    expect(counts.d1).toBe(cold);
    // The epoch and the policies, in one batch.
    expect(cold).toBeLessThanOrEqual(2);
  });

  test("is nobody else's", async () => {
    const other = await newTenant();
    await post({ name: "all", effect: "deny" });
    expect((await decided(team.tenantId, callFacts({}))).kind).toBe("deny");
    expect((await decided(other.tenantId, callFacts({}))).kind).toBe("none");
  });
});
