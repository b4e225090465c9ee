import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, faultsOf, probesOf } from "../support/foreign-ids.ts";
import { TwoTenants } from "../support/two-tenants.ts";

/* Every name of another tenant's, wherever the description lets one stand. `node test/soak/foreign-ids.ts` asks for 1,000 each. */

const COUNT = 40;

let tenants: TwoTenants;
// oxlint-disable-next-line typescript/no-explicit-any -- an OpenAPI document.
let document: any;
beforeAll(async () => {
  tenants = await TwoTenants.open();
  document = await (await fetch(`${tenants.stage.gateway.url}/v1/openapi.json`)).json();
});
afterAll(() => tenants?.close());

describe("attack 73: another tenant's ids are ids that never were", () => {
  test("attack 73: on every route with ids, for our admin, agent and token, and nothing of theirs is changed", async () => {
    const before = tenants.digest();
    const probes = probesOf(document);
    expect(probes.length).toBeGreaterThan(40);
    const faults: string[] = [];
    for (const probe of probes) faults.push(...faultsOf(await ask(tenants, probe, COUNT)));
    expect(faults).toEqual([]);
    expect(tenants.digest()).toBe(before);
  }, 240_000);

  test("attack 73: the same ids are there for whose they are", async () => {
    const reads = probesOf(document).filter(
      ({ method, scheme, others, place }) =>
        method === "GET" && scheme === "member" && others.length === 0 && place.where === "path",
    );
    expect(reads.length).toBeGreaterThan(8);
    for (const { template, place } of reads) {
      for (const name of tenants.theirs.names.get(place.kind) ?? []) {
        const target = template.replace(`{${place.name}}`, encodeURIComponent(name));
        // Of a deleted secret there is only that it was deleted. A request for approval is shown to persons.
        const expected = name.endsWith("/GONE") ? 404 : place.kind === "apr" ? 403 : 200;
        expect((await tenants.theirAdmin.call("GET", target)).status, target).toBe(expected);
      }
    }
  });
});
