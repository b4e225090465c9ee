import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Contract } from "../support/contract.ts";
import { fromSchema } from "../support/from-schema.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { createTenant } from "../support/tenant.ts";

/** Requests per operation; `npm run soak` and people may ask for more. */
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 20);
const SEED = Number(process.env["FUZZ_SEED"] ?? 20_261_122);

// oxlint-disable-next-line typescript/no-explicit-any -- parts of an OpenAPI document.
type Json = any;

let gateway: Gateway;
let contract: Contract;
let credentials: Record<string, string | null>;
/** Things that are there, and some that only look like it, by the parameter that names them. */
let there: Record<string, string[]>;

beforeAll(async () => {
  gateway = await startGateway();
  const tenant = await createTenant(gateway);
  const { admin } = tenant;
  contract = new Contract(await (await fetch(`${gateway.url}/v1/openapi.json`)).json());
  await tenant.putSecret("production/app/KEY", "a-value-of-some-length-0001", {
    allowed_hosts: ["api.example.com"],
    reveal: "allow",
  });
  await tenant.connect("up", {
    base_url: "https://api.example.com",
    credential: { kind: "bearer" },
    secret: "production/app/KEY",
  });
  const [agent, other] = [await tenant.agent(), await tenant.agent()];
  const trusted = await admin.must("POST", `/v1/agents/${other.id}/trust`, {
    ...{ name: "ci", issuer: "https://issuer.example.com", audience: "https://valetkey.example.com" },
    subject: "workload",
  });
  const { token } = await agent.issue(["secrets:*:*", "namespaces:read", "connections:call:*"]);
  const { tokenId } = await agent.issue(["namespaces:read"]);
  credentials = {
    nobody: null,
    garbage: "vkt_garbage",
    admin: admin.credential,
    agent: agent.apiKey,
    token,
  };
  const person = { email: "someone@example.com", role: "viewer" };
  const { id: invited } = await admin.must("POST", "/v1/members", person);
  const { id: policyId } = await admin.must("POST", "/v1/policies", { name: "p", effect: "allow" });
  const budget = { name: "b", scope: { token: true }, measure: "calls", limit: 9, period: "day" };
  const { id: budgetId } = await admin.must("POST", "/v1/budgets", budget);
  const hook = { kind: "webhook", url: "http://127.0.0.1:9/", events: ["*"], enabled: false };
  const { id: webhook } = await admin.must("POST", "/v1/webhooks", hook);
  await admin.must("POST", "/v1/actions", { name: "mail.send", calls: null });
  const { id: permission } = await agent.must("POST", "/v1/permissions", { action: "mail.send" });
  const noneOf = ["whk", "pkey", "rvl", "mem", "pol", "bud", "perm"].map(
    (prefix) => `${prefix}_${"0".repeat(24)}`,
  );
  there = {
    id: [
      other.id,
      tokenId,
      "openai",
      "agt_000000000000000000000000",
      "tok_000000000000000000000000",
      invited,
      webhook,
      policyId,
      budgetId,
      permission,
      ...noneOf,
    ],
    path: ["production/app/KEY", "production/app", "production", "no/such/KEY"],
    slug: ["up"],
    name: ["mail.send", "no.such"],
    delivery_id: ["dlv_000000000000000000000000"],
    rule_id: [trusted.id, "tru_000000000000000000000000"],
  };
});
afterAll(() => gateway.stop());

/** What of the control plane anybody can send: method and target, credential, body. */
interface Sent {
  readonly target: string;
  readonly who: string;
  readonly body: string | undefined;
  readonly contentType: string | undefined;
  readonly accept: string;
}

function requests(template: string, operation: Json): fc.Arbitrary<Sent> {
  const { document } = contract;
  const parameters: Json[] = operation.parameters ?? [];
  const values = (where: string, oddness: number) =>
    fc.record(
      Object.fromEntries(
        parameters
          .filter((one) => one.in === where)
          .map(({ name, schema }): [string, fc.Arbitrary<unknown>] => {
            const known = where === "path" ? there[name] : undefined;
            const made = fromSchema(schema, document, oddness);
            return [
              name,
              known === undefined
                ? made
                : fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...known) }, made),
            ];
          }),
      ),
      where === "query" ? { requiredKeys: [] } : {},
    );
  const media = Object.entries<Json>(operation.requestBody?.content ?? {});
  const bodies =
    media.length === 0
      ? fc.constant({ body: undefined, contentType: undefined })
      : fc
          .constantFrom(...media)
          .chain(([type, { schema }]) =>
            fc
              .oneof(
                { weight: 4, arbitrary: fromSchema(schema, document, 0) },
                { weight: 4, arbitrary: fromSchema(schema, document, 0.15) },
                { weight: 1, arbitrary: fc.jsonValue() },
              )
              .map((value) => ({ body: encoded(type, value), contentType: type })),
          );
  const asTemplate = (given: Record<string, unknown>) =>
    template.replaceAll(/\{([a-z_]+)\}/g, (_, name) => encodeURIComponent(text(given[name])) || "%20");
  return fc
    .record({
      path: values("path", 0.1),
      query: values("query", 0.1),
      sent: bodies,
      who: fc.constantFrom(...Object.keys(credentials), "admin", "admin", "admin", "token"),
      accept: fc.constantFrom("*/*", "application/json", "application/problem+json", "text/csv", "\u00e9"),
    })
    .map(({ path, query, sent, who, accept }) => {
      const given = Object.entries(query).filter(([, value]) => value !== undefined);
      const search = new URLSearchParams(given.map(([name, value]) => [name, text(value)])).toString();
      return { target: asTemplate(path) + (search === "" ? "" : `?${search}`), who, accept, ...sent };
    });
}

function text(value: unknown): string {
  return (typeof value === "string" ? value : (JSON.stringify(value) ?? "")).toWellFormed();
}

function encoded(type: string, value: unknown): string {
  if (type === "application/json") return JSON.stringify(value) ?? "";
  const fields = typeof value === "object" && value !== null ? Object.entries(value) : [];
  return new URLSearchParams(fields.map(([name, field]) => [name, text(field)])).toString();
}

async function send(method: string, { target, who, body, contentType, accept }: Sent) {
  const credential = credentials[who];
  const headers = new Headers({ accept, prefer: "wait=0" });
  if (credential !== null) headers.set("authorization", `Bearer ${credential}`);
  if (contentType !== undefined) headers.set("content-type", contentType);
  const init = { method, headers, ...(body === undefined ? {} : { body }) };
  const response = await fetch(gateway.url + target, { ...init, signal: AbortSignal.timeout(20_000) });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

describe("whatever is sent, the API answers as its description says, and never fails", () => {
  test("every operation, from its own schemas", async () => {
    const answers = new Map<number, number>();
    for (const [template, methods] of Object.entries<Json>(contract.document.paths)) {
      for (const [method, operation] of Object.entries<Json>(methods)) {
        const property = fc.asyncProperty(requests(template, operation), async (sent) => {
          const answer = await send(method.toUpperCase(), sent);
          answers.set(answer.status, (answers.get(answer.status) ?? 0) + 1);
          expect(answer.status, answer.text).toBeLessThan(500);
          const asked = new URL(gateway.url + sent.target).pathname;
          expect(contract.faultOf(method.toUpperCase(), asked, answer)).toBeNull();
        });
        await fc.assert(property, {
          numRuns: RUNS,
          seed: SEED,
          endOnFailure: true,
          interruptAfterTimeLimit: 60_000,
        });
      }
    }
    // It came through: not everything was refused at the door.
    for (const status of [200, 201, 400, 401, 403, 404])
      expect(answers.get(status), String(status)).toBeGreaterThan(0);
  }, 300_000);
});
