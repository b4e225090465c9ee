import { parseArgs } from "node:util";
import type { AgentId, PolicyId, TokenId } from "../src/base/ids.ts";
import type { Policy } from "../src/policies/policy.ts";
import { policySetOf } from "../src/policies/set.ts";
import type { PolicyEffect, PolicyFacts } from "../src/policies/verdict.ts";
import { median } from "./statistics.ts";

const USAGE = `node bench/policies.ts [options]

  --rounds N    rounds, of which the median counts (15)
  --calls N     decisions a round (4000)
  --json        the numbers, as JSON on stdout

CPU that the decision of a warm call takes with 50 policies that all apply to its connection. The bound is a tenth of
a warm call's CPU, ${(0.1 * 650).toFixed(0)} µs.`;

/** CPU of a warm call, microseconds (docs/design/policies.md). */
const WARM_CALL_US = 650;
const POLICIES = 50;

/** Each is looked at to its end and comes out false, so that all fifty are asked; `#` differs from policy to policy. */
const FULL = [
  'request.method == "POST" && request.path.startsWith("/v1/") && request.body.amount > 10000#',
  '!(request.body.model in ["gpt-#", "gpt-5", "gpt-5-mini"])',
  'request.method != "POST" && request.method != "GET" && request.method != "HEAD#"',
  'request.path.startsWith("/v1/refunds") && double(request.body.amount) > #00000.0',
  'time.getHours("Europe/Berlin") < 0 || time.getDayOfWeek() > 1#',
  'has(request.body.customer) && request.body.customer != "cus_1" && request.query.limit == "#"',
  "request.body.items.exists(item, item.price > 1000#)",
  'token.scopes.all(scope, scope.startsWith("secrets:#"))',
  'request.path.matches("^/v1/(payouts|transfers)/#")',
  'secret.tier == "critical" && agent.trust_tier == "low" && ip.inRange("10.#.0.0/16")',
];
/** Most policies are about other calls than this one: their method or path says so. */
const MIXED = FULL.map((condition) => `request.method == "DELETE" && (${condition})`);

function policies(conditions: readonly (string | null)[]): readonly Policy[] {
  const effects: readonly PolicyEffect[] = ["deny", "require_approval", "allow"];
  return Array.from({ length: POLICIES }, (_, at) => ({
    id: `pol_${at.toString(16).padStart(24, "0")}` as PolicyId,
    name: `policy ${at}`,
    description: null,
    effect: effects[at % effects.length] ?? "deny",
    on: "calls",
    connections: at % 2 === 0 ? [] : ["stripe-*"],
    condition: conditions[at % conditions.length]?.replaceAll("#", String(at)) ?? null,
    approvals: 1,
    delaySeconds: 0,
    message: null,
    enabled: true,
    version: 1,
    createdAt: 0,
    updatedAt: 0,
  }));
}

function facts(): PolicyFacts {
  const now = Date.now();
  return {
    subject: "calls",
    request: {
      method: "POST",
      path: "/v1/refunds",
      host: "api.stripe.com",
      query: { limit: "x" },
      headers: { accept: "application/json", "content-type": "application/json" },
      size: 300,
      body: {
        kind: "json",
        value: {
          amount: 900,
          model: "gpt-5",
          customer: "cus_1",
          items: [{ price: 1 }, { price: 2 }, { price: 3 }],
        },
      },
    },
    asked: null,
    agent: { id: "agt_000000000000000000000001" as AgentId, name: "bot", trustTier: "low" },
    token: {
      id: "tok_000000000000000000000001" as TokenId,
      scopes: ["connections:call:stripe-*"],
      tool: null,
      user: null,
      context: {},
      issuedAt: now,
      expiresAt: now + 600_000,
    },
    connection: { slug: "stripe-live", provider: "stripe" },
    tier: "critical",
    ip: "192.0.2.7",
    now,
  };
}

/** CPU microseconds of one decision. */
function measure(set: ReturnType<typeof policySetOf>, rounds: number, calls: number): number {
  const round = () => {
    const started = process.cpuUsage();
    for (let call = 0; call < calls; call += 1) set.decide(facts());
    const { user, system } = process.cpuUsage(started);
    return (user + system) / calls;
  };
  round();
  return median(Array.from({ length: rounds }, round));
}

function main(): number {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "15" },
      calls: { type: "string", default: "4000" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const [rounds, calls] = [Number(values.rounds), Number(values.calls)];
  if (values.help || !(rounds >= 1 && rounds <= 100) || !(calls >= 1 && calls <= 100_000)) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  const sets = { none: [], full: policies(FULL), mixed: policies(MIXED) };
  const figures = Object.entries(sets).map(([name, stored]) => {
    const set = policySetOf(stored);
    const verdict = set.decide(facts());
    if (verdict.kind !== "none") throw new Error(`${name}: ${JSON.stringify(verdict)}`);
    const micros = measure(set, rounds, calls);
    return { name, policies: stored.length, micros, ofWarmCall: micros / WARM_CALL_US };
  });
  if (values.json) console.log(JSON.stringify(figures, null, 2));
  else
    for (const { name, policies: count, micros, ofWarmCall } of figures)
      console.log(
        `${name.padEnd(6)} ${count} policies: ${micros.toFixed(1)} µs a decision, ${(100 * ofWarmCall).toFixed(1)} % of a warm call`,
      );
  return figures.every(({ ofWarmCall }) => ofWarmCall <= 0.1) ? 0 : 1;
}

process.exitCode = main();
