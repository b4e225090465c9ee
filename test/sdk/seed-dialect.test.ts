import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { watchSecret } from "../support/canary.ts";
import {
  AgentVault,
  ApprovalRequiredError,
  AuthError,
  RateLimitError,
  ScopeError,
  SecretNotFoundError,
  VaultError,
} from "../support/seed-client.ts";
import { CLIENT, inAnHour, SignInStage } from "../support/sign-in-stage.ts";
import type { TestAgent } from "../support/tenant.ts";

/* The source product's published client, and the programs of its guide: nothing is changed but the base URL. */

let stage: SignInStage;
let agent: TestAgent;
let baseUrl: string;
const STRIPE = "production/payments/stripe/STRIPE_SECRET_KEY";
const GEMINI = "production/ml-platform/gemini/GEMINI_API_KEY";
const GEMINI_VALUE = "gemini-value-3f1d92c07be4a865";

beforeAll(async () => {
  stage = await SignInStage.start();
  baseUrl = stage.gateway.url;
  const { tenant } = stage;
  await tenant.admin.must("PATCH", "/v1/tenant", { reveal: "allow" });
  await tenant.putSecret(GEMINI, GEMINI_VALUE, { secret_type: "api_key" });
  await tenant.putSecret(STRIPE, "stripe-value-8c0e51d7a94b23f6", { access_tier: "critical" });
  agent = await tenant.agent();
});
afterAll(() => stage?.stop());

const newVault = (options: { agentKey?: string; autoToken?: boolean } = {}) =>
  new AgentVault({ agentKey: agent.apiKey, baseUrl, ...options });

/** A member's ID token from the tenant's own issuer: what the guide calls `FIREBASE_ID_TOKEN`. */
async function idTokenOf(role: string): Promise<string> {
  const { login: sub } = await stage.signedInAs(role);
  return stage.issuer.sign({ sub, aud: CLIENT, exp: inAnHour(), auth_time: Math.floor(Date.now() / 1_000) });
}

async function failure(promise: Promise<unknown>): Promise<Error & { code?: string; status?: number }> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof Error) return error;
  throw new Error("it did not fail");
}

describe("the published client asks for tokens", () => {
  test("narrowly scoped, with a short life, for a known host", async () => {
    const issued = await newVault().requestToken({
      scopes: ["secrets:read:production/ml-platform/gemini/*"],
      ttl: "30m",
      ipAllowlist: ["10.0.1.50"],
    });
    expect(issued).toMatchObject({
      token: expect.stringMatching(/^vkt_/),
      token_id: expect.stringMatching(/^tok_/),
    });
    const life = Date.parse(issued.expires_at ?? "") - Date.now();
    expect(life).toBeGreaterThan(28 * 60_000);
    expect(life).toBeLessThan(31 * 60_000);
  });

  test.each([[["10.128.0.0/20"]], [["10.0.1.50", "10.0.1.51", "10.0.1.52"]]])(
    "attack 60: for %j, and is refused from anywhere else",
    async (ipAllowlist) => {
      const vault = newVault();
      await vault.requestToken({ scopes: ["secrets:read:production/ml-platform/*"], ttl: "1h", ipAllowlist });
      const error = await failure(vault.getSecret(GEMINI));
      expect(error).toBeInstanceOf(VaultError);
      expect([error.status, error.code]).toEqual([403, "ADDRESS_DENIED"]);
    },
  );

  test("for the host that it runs on, and reads", async () => {
    const vault = newVault();
    await vault.requestToken({
      scopes: ["secrets:read:production/ml-platform/*"],
      ttl: "2h",
      ipAllowlist: ["127.0.0.0/8", "::1"],
    });
    expect(await vault.getSecret(GEMINI)).toBe(GEMINI_VALUE);
  });

  test("for one use, which is the only one", async () => {
    const vault = newVault();
    await vault.requestToken({ scopes: [`secrets:read:${GEMINI}`], ttl: "5m", maxUses: 1 });
    expect(await vault.getSecret(GEMINI)).toBe(GEMINI_VALUE);
    const error = await failure(vault.getSecret(GEMINI));
    expect(error).toBeInstanceOf(VaultError);
    expect([error.status, error.code]).toEqual([403, "USES_EXHAUSTED"]);
  });
});

describe("the published client works on secrets", () => {
  test("puts, gets, lists and deletes one, asking for the tokens itself", async () => {
    const vault = newVault();
    const value = `sk-${randomUUID()}`;
    watchSecret(value);
    const stored = await vault.setSecret("staging/openai/OPENAI_API_KEY", value);
    expect(stored).toMatchObject({
      ...{ namespace: "staging/openai", key: "OPENAI_API_KEY", version: 1 },
      ...{ secret_type: "custom", access_tier: "standard", metadata: {} },
    });
    expect(Date.parse(stored.created_at)).toBeLessThanOrEqual(Date.parse(stored.updated_at));
    expect(await vault.getSecret("staging/openai/OPENAI_API_KEY")).toBe(value);
    const listed = await vault.listSecrets("staging/openai");
    expect(listed).toMatchObject({
      namespace: "staging/openai",
      items: [{ namespace: "staging/openai", key: "OPENAI_API_KEY", version: 1 }],
    });
    expect(JSON.stringify(listed)).not.toContain(value);
    await vault.deleteSecret("staging/openai/OPENAI_API_KEY");
    expect(await failure(vault.getSecret("staging/openai/OPENAI_API_KEY"))).toBeInstanceOf(
      SecretNotFoundError,
    );
  });

  test("with type, tier and metadata, and a second version", async () => {
    const vault = newVault();
    const options = { secretType: "oauth_token", metadata: { owner: "ml-platform", quota: 7 } };
    await vault.setSecret("staging/typed/KEY", "a-first-value-0001", options);
    const second = await vault.setSecret("staging/typed/KEY", "a-second-value-0002", options);
    expect(second.version).toBe(2);
    expect(await vault.getSecretWithMetadata("staging/typed/KEY")).toMatchObject({
      ...{ value: "a-second-value-0002", version: 2, secret_type: "oauth_token", access_tier: "standard" },
      metadata: { owner: "ml-platform", quota: 7 },
    });
  });

  test("one that is written without metadata keeps what it had", async () => {
    const vault = newVault();
    await vault.setSecret("staging/kept/KEY", "a-first-value-0003", { metadata: { owner: "ops" } });
    const { metadata } = await vault.setSecret("staging/kept/KEY", "a-second-value-0004");
    expect(metadata).toEqual({ owner: "ops" });
  });

  test("imports a .env file, with and without metadata", async () => {
    const vault = newVault();
    const content = '# from .env\nDB_PASSWORD="p@ss word 0001"\nexport API_TOKEN=tok-0002-value\n';
    expect(await vault.importEnv(content, "staging/import")).toMatchObject({
      ...{ namespace: "staging/import", imported: ["DB_PASSWORD", "API_TOKEN"], imported_count: 2 },
    });
    expect(await vault.getSecret("staging/import/DB_PASSWORD")).toBe("p@ss word 0001");
    await vault.importEnv(content, "staging/told", {
      secretType: "db_credential",
      metadata: { from: "ci" },
    });
    expect(await vault.getSecretWithMetadata("staging/told/API_TOKEN")).toMatchObject({
      ...{ secret_type: "db_credential", metadata: { from: "ci" } },
    });
  });

  test("with the namespace as the path, percent-encoded, or as a parameter, which mean the same", async () => {
    const token = await agent.token(["secrets:read:production/ml-platform/*"]);
    const list = async (target: string) => {
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      const response = await fetch(baseUrl + target, { headers });
      expect(response.headers.get("content-type")).toMatch(/^application\/json/);
      return response.json();
    };
    const plain = await list("/v1/secrets/production/ml-platform/gemini");
    expect(plain).toMatchObject({
      namespace: "production/ml-platform/gemini",
      items: [{ namespace: "production/ml-platform/gemini", key: "GEMINI_API_KEY", version: 1 }],
    });
    for (const target of [
      "/v1/secrets/production%2Fml-platform%2Fgemini",
      "/v1/secrets/production%2fml-platform/gemini",
      "/v1/secrets?namespace=production%2Fml-platform%2Fgemini",
      "/v1/secrets?namespace=production/ml-platform/gemini",
    ]) {
      expect(await list(target), target).toEqual(plain);
    }
    expect(await list("/v1/secrets/production%2Fml-platform%2Fgemini/GEMINI_API_KEY")).toMatchObject({
      value: GEMINI_VALUE,
    });
  });
});

describe("the published client tells errors apart by the codes it branches on", () => {
  test("UNAUTHORIZED", async () => {
    const error = await failure(newVault({ agentKey: "vka_no-such-key" }).getSecret(GEMINI));
    expect(error).toBeInstanceOf(AuthError);
    expect(error.status).toBe(401);
  });

  test("SCOPE_DENIED, of a request beyond the agent's bounds and of a use beyond the token's", async () => {
    const narrow = await stage.tenant.agent({ allowed_scopes: ["secrets:read:staging/*"] });
    const asked = await failure(newVault({ agentKey: narrow.apiKey }).getSecret(GEMINI));
    expect(asked).toBeInstanceOf(ScopeError);
    const vault = newVault({ autoToken: false });
    await vault.requestToken({ scopes: ["secrets:read:staging/*"], ttl: "5m" });
    expect(await failure(vault.getSecret(GEMINI))).toBeInstanceOf(ScopeError);
  });

  test("SECRET_NOT_FOUND", async () => {
    const error = await failure(newVault().getSecret("staging/no/such/KEY"));
    expect(error).toBeInstanceOf(SecretNotFoundError);
    expect(error.message).not.toBe("Request failed");
  });

  test("VALIDATION_ERROR, with what would have been right", async () => {
    const error = await failure(newVault().requestToken({ scopes: ["secrets:read:*"], ttl: "1 fortnight" }));
    expect([error.status, error.code]).toEqual([400, "VALIDATION_ERROR"]);
    expect(error.message).toMatch(/30m|15m|1h/);
  });
});

test("the guide's program that waits for an approval hears that it is needed, and whose answer it waits for", async () => {
  const vault = newVault();
  const scopes = [`secrets:read:${STRIPE}`];
  const error = await failure(vault.requestToken({ scopes, ttl: "10m" }));
  if (!(error instanceof ApprovalRequiredError)) throw error;
  expect(error.approvalId).toMatch(/^apr_/);
  expect((await vault.getApprovalStatus(error.approvalId)).status).toBe("pending");
  // Asked again while it waits, it is the same request; and there is no token until somebody has answered.
  const again = await failure(vault.requestToken({ scopes, ttl: "10m" }));
  if (!(again instanceof ApprovalRequiredError)) throw again;
  expect(again.approvalId).toBe(error.approvalId);
  const stranger = await stage.tenant.agent();
  await expect(newVault({ agentKey: stranger.apiKey }).getApprovalStatus(error.approvalId)).rejects.toThrow(
    /NOT_FOUND/,
  );
});

describe("the guide's programs for people, with an ID token", () => {
  /** As it stands in the guide, but for the base URL. */
  const RUNBOOK = String.raw`
set -euo pipefail
curl -X POST "https://api.agentsecretstore.com/v1/secrets/$SECRET_PATH/rotate" \
-H "Authorization: Bearer $FIREBASE_ID_TOKEN" \
-H "Content-Type: application/json" \
-d '{"new_value":"'"$NEW_GEMINI_API_KEY"'"}'
`;
  const EXPORT = String.raw`
set -euo pipefail
curl "https://api.agentsecretstore.com/v1/audit/export" \
-H "Authorization: Bearer $FIREBASE_ID_TOKEN" \
-H "Accept: text/csv" \
-G \
--data-urlencode "event_type=secret.read" \
--data-urlencode "resource_type=secret" \
--data-urlencode "start_time=2026-05-01T00:00:00Z" \
-o incident-secret-reads.csv
`;
  const run = async (script: string, env: Record<string, string>): Promise<string> => {
    const text = script.replaceAll("https://api.agentsecretstore.com", baseUrl);
    const { stdout } = await promisify(execFile)("bash", ["-c", text], {
      env: { ...process.env, ...env },
      cwd: tmpdir(),
      timeout: 20_000,
    });
    return stdout;
  };

  test("the rotation runbook rotates, and revokes the tokens that could read the old value", async () => {
    const secretPath = "production/gemini/GEMINI_API_KEY";
    await stage.tenant.putSecret(secretPath, "gemini-old-value-5a90c1");
    const before = await agent.token([`secrets:read:${secretPath}`]);
    const reads = (token: string) => stage.tenant.as(token).call("GET", `/v1/secrets/${secretPath}`);
    expect((await reads(before)).body.value).toBe("gemini-old-value-5a90c1");
    const answer = await run(RUNBOOK, {
      ...{ SECRET_PATH: secretPath, NEW_GEMINI_API_KEY: "gemini-new-key-example" },
      FIREBASE_ID_TOKEN: await idTokenOf("editor"),
    });
    const rotated = JSON.parse(answer);
    expect(rotated).toMatchObject({ namespace: "production/gemini", key: "GEMINI_API_KEY", version: 2 });
    expect(answer).not.toContain("gemini-new-key-example");
    await new Promise((resolve) => setTimeout(resolve, Date.parse(rotated.effective_at) - Date.now() + 5));
    expect((await reads(before)).status).toBe(401);
    const after = await agent.token([`secrets:read:${secretPath}`]);
    expect((await reads(after)).body.value).toBe("gemini-new-key-example");
  });

  test("the monitor reads the trail, and counts what it looks for", async () => {
    await newVault().getSecret(GEMINI);
    const token = await idTokenOf("auditor");
    const oneHourAgo = new Date(Date.now() - 3600_000).toISOString();
    async function auditEvents(params: Record<string, string>) {
      const query = new URLSearchParams({ ...params, start_time: oneHourAgo, limit: "100" });
      const response = await fetch(`${baseUrl}/v1/audit?` + query, {
        headers: { Authorization: "Bearer " + token },
      });
      if (!response.ok) throw new Error(await response.text());
      const body = (await response.json()) as { events: { ip_address?: string; event_type: string }[] };
      return body.events;
    }
    const reads = () => auditEvents({ event_type: "secret.read", resource_type: "secret" });
    await expect.poll(async () => (await reads()).length, { timeout: 10_000 }).toBeGreaterThan(0);
    expect(await auditEvents({ event_type: "approval.denied" })).toEqual([]);
    const knownIps = new Set(["10.0.1.50", "10.0.1.51", "10.128.0.5"]);
    const unexpected = (await reads()).filter((event) => event.ip_address && !knownIps.has(event.ip_address));
    expect(unexpected[0]).toMatchObject({
      event_type: "secret.read",
      ip_address: expect.stringMatching(/^(127\.0\.0\.1|::1)$/),
    });
  });

  test("the export for the incident review is a CSV file of those events", async () => {
    const script = EXPORT.replace("-o incident-secret-reads.csv", "");
    const csv = await run(script, { FIREBASE_ID_TOKEN: await idTokenOf("auditor") });
    const [head = "", ...lines] = csv.trim().split(/\r?\n/);
    expect(head).toContain("event_type");
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.every((line) => line.includes("secret.read"))).toBe(true);
  });
});

test("RATE_LIMITED tells the published client how many seconds to wait", async () => {
  await stage.gateway.restart({ RATE_LIMITS: "tokens=2/m" });
  const vault = newVault();
  const request = { scopes: ["namespaces:read"], ttl: "5m" };
  let refused: unknown;
  // The minute may end in between, and what was left over with it.
  for (let asked = 0; asked < 6 && refused === undefined; asked++) {
    refused = await vault.requestToken(request).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
  }
  if (!(refused instanceof RateLimitError)) throw refused;
  expect(refused.retryAfter).toBeGreaterThan(0);
});
