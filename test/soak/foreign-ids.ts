import { parseArgs } from "node:util";
import { ask, faultsOf, probesOf } from "../support/foreign-ids.ts";
import { makeTemplate } from "../support/gateway.ts";
import { TwoTenants } from "../support/two-tenants.ts";

/** 1,000 ids of another tenant's, and ones like them, on every route, by everyone who may ask there; `--count`. */
const { values } = parseArgs({ options: { count: { type: "string", default: "1000" } } });
const count = Number(values.count);

const template = await makeTemplate();
process.env["VALETKEY_TEMPLATE"] = template.dir;
const tenants = await TwoTenants.open();
try {
  const document = await (await fetch(`${tenants.stage.gateway.url}/v1/openapi.json`)).json();
  const before = tenants.digest();
  const probes = probesOf(document);
  const statuses = new Map<number, number>();
  const faults: string[] = [];
  const began = Date.now();
  for (const probe of probes) {
    const outcome = await ask(tenants, probe, count);
    statuses.set(outcome.status, (statuses.get(outcome.status) ?? 0) + outcome.asked);
    faults.push(...faultsOf(outcome));
  }
  const routes = new Set(probes.map(({ operationId }) => operationId)).size;
  console.log(`${routes} routes, ${probes.length} places and callers, ${probes.length * count} ids`);
  console.log(`${((Date.now() - began) / 1_000).toFixed(0)} s; by status: ${JSON.stringify([...statuses])}`);
  for (const fault of faults.slice(0, 20)) console.log(fault);
  const isUnchanged = tenants.digest() === before;
  const holds = faults.length === 0 && isUnchanged;
  console.log(
    holds
      ? "holds: nothing is told, and nothing of theirs is changed"
      : `DOES NOT HOLD: ${faults.length} faults, theirs ${isUnchanged ? "unchanged" : "CHANGED"}`,
  );
  process.exitCode = holds ? 0 : 1;
} finally {
  await tenants.close();
  await template.remove();
}
