import { makeTemplate } from "./gateway.ts";

/** Bundles and migrates once a run; the test files' gateways are copies of it. The path goes by environment. */
export default async function setup(): Promise<() => Promise<void>> {
  const template = await makeTemplate();
  process.env["VALETKEY_TEMPLATE"] = template.dir;
  return template.remove;
}
