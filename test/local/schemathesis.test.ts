import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { type ApiClient, createTenant, type TestTenant } from "../support/tenant.ts";

/*
 * A property-based API fuzzer that others wrote, reading nothing but the published description. It is Python's, so it is
 * looked for where `.ci/run` puts it, and elsewhere the test is skipped.
 */
const CACHE = process.env["XDG_CACHE_HOME"] ?? path.join(homedir(), ".cache");
const PROGRAM =
  process.env["SCHEMATHESIS"] ?? path.join(CACHE, "valetkey", "schemathesis", "bin", "schemathesis");
const isThere = existsSync(PROGRAM);
const WHERE = isThere ? "" : ` (skipped: there is no ${PROGRAM}, see .ci/run)`;

/** Test cases per operation and phase; people may ask for more. */
const EXAMPLES = process.env["SCHEMATHESIS_EXAMPLES"] ?? "2";
/** `coverage`, which tries each value that a schema singles out, takes minutes: `npm run soak` has it. */
const PHASES = process.env["SCHEMATHESIS_PHASES"] ?? "fuzzing,stateful";
const SEED = process.env["FUZZ_SEED"] ?? "20261122";

const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_headers_conformance",
  "response_schema_conformance",
];

/** What would end the run instead of being tested by it, and why; test/local/api-fuzz.test.ts sends these, too. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  freeze: "Frozen, the tenant refuses every call after it.",
  rotateMemberCredential: "Ids come from earlier answers, the credential's own among them: it would end.",
  deleteMember: "As above, once there is another admin.",
  revokeOwnToken: "It ends the token that asks.",
};

interface Described {
  readonly operationId: string;
  readonly security: readonly Readonly<Record<string, unknown>>[];
}

let gateway: Gateway;
let tenant: TestTenant;
let operations: readonly Described[];
let callers: Readonly<Record<string, ApiClient>>;
let directory: string;

beforeAll(async () => {
  if (!isThere) return;
  gateway = await startGateway();
  tenant = await createTenant(gateway);
  directory = await mkdtemp(path.join(tmpdir(), "valetkey-schemathesis-"));
  await tenant.putSecret("production/app/KEY", "a-value-of-some-length-0001", {
    ...{ allowed_hosts: ["api.example.com"], reveal: "allow" },
  });
  await tenant.connect("up", {
    ...{ base_url: "https://api.example.com", credential: { kind: "bearer" }, secret: "production/app/KEY" },
  });
  const agent = await tenant.agent();
  const token = await agent.token(["secrets:*:*", "namespaces:read", "connections:call:*"]);
  callers = { member: tenant.admin, agentKey: agent, scopedToken: tenant.as(token) };
  const document = await (await fetch(`${gateway.url}/v1/openapi.json`)).json();
  operations = Object.values<Record<string, Described>>(document.paths).flatMap((methods) =>
    Object.values(methods),
  );
});
afterAll(async () => {
  await gateway?.stop();
  if (directory !== undefined) await rm(directory, { recursive: true, force: true });
});

/** Its exit status, and what it printed. */
function fuzz(client: ApiClient, selected: readonly string[]): Promise<{ status: number; printed: string }> {
  const child = spawn(
    PROGRAM,
    [
      ...["run", `${gateway.url}/v1/openapi.json`, "--header", `Authorization: Bearer ${client.credential}`],
      ...["--checks", CHECKS.join(","), "--phases", PHASES],
      ...["--max-examples", EXAMPLES, "--seed", SEED, "--continue-on-failure", "--max-failures", "20"],
      ...["--generation-database", "none", "--generation-with-security-parameters", "false"],
      ...["--suppress-health-check", "all", "--request-timeout", "20", "--warnings", "off", "--no-color"],
      ...selected.flatMap((operationId) => ["--include-operation-id", operationId]),
    ],
    { cwd: directory, stdio: ["ignore", "pipe", "pipe"], timeout: 240_000 },
  );
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => (printed += chunk));
  }
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve({ status: status ?? -1, printed }));
  });
}

describe("a fuzzer that knows only the description finds no 5xx and no undocumented answer", () => {
  // In this order: an admin's requests may delete the agent or revoke its tokens.
  test.skipIf(!isThere).each(["scopedToken", "agentKey", "member"])(
    `as the description's %s${WHERE}`,
    async (scheme) => {
      const client = callers[scheme];
      const selected = operations
        .filter(
          ({ security }) =>
            security.some((one) => scheme in one) || (security.length === 0 && scheme === "member"),
        )
        .map(({ operationId }) => operationId)
        .filter((operationId) => !(operationId in LEFT_OUT));
      expect(selected.length).toBeGreaterThan(5);
      if (client === undefined) throw new Error(`no ${scheme}`);
      const { status, printed } = await fuzz(client, selected);
      expect(printed).toMatch(new RegExp(`${selected.length} selected`));
      expect(status, printed.slice(-8_000)).toBe(0);
      // What it found out, it found out as somebody.
      expect((await client.call("GET", "/v1/me")).status).toBe(200);
    },
    250_000,
  );
});
