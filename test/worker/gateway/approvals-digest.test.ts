import { describe, expect, it } from "vitest";
import { digestOfCall, type ExactCall } from "../../../src/approvals/digest.ts";
import { newId } from "../../../src/base/ids.ts";
import { exactCall } from "./approvals-exact-call.ts";

const call = exactCall();
const [secret] = Object.values(call.secrets);
const [policy] = call.policies;
if (secret === undefined || policy === undefined) throw new Error("the fixture uses a secret and a policy");
const headers = [...call.headers];
const body = Buffer.from(call.body ?? "");

/** Everything that people approve, each changed by as little as can be. */
const CHANGES: Record<string, Partial<ExactCall>> = {
  "another tenant": { tenantId: newId("tenant") },
  "another agent": { agentId: newId("agent") },
  "another user": { purpose: { ...call.purpose, user: "eve@example.com" } },
  "another tool": { purpose: { ...call.purpose, tool: null } },
  "another reason": { purpose: { ...call.purpose, context: { reason: "ticket 13" } } },
  "another connection": { connection: { ...call.connection, id: newId("connection") } },
  "a connection that was renamed": { connection: { ...call.connection, slug: "stripe-2" } },
  "a connection that was edited, and be it back": { connection: { ...call.connection, updatedAt: 3 } },
  "another base URL": { connection: { ...call.connection, baseUrl: "https://api.stripe.com/eu" } },
  "another credential kind": { connection: { ...call.connection, credential: { kind: "basic" } } },
  "another method": { method: "PUT" },
  "another scheme": { scheme: "http" },
  "another host": { authority: "api.stripe.com:8443" },
  "another path": { path: "/v1/refunds/" },
  "another query": { query: "expand[]=charges" },
  "no query": { query: "" },
  "another order of the query": { query: "a=1&b=2" },
  "another content type": { headers: [["content-type", "application/json"], ...headers.slice(1)] },
  "another API version": { headers: [...headers.slice(0, 1), ["stripe-version", "2025-01-02"]] },
  "one header more": { headers: [...headers, ["x-anything", ""]] },
  "one header less": { headers: headers.slice(1) },
  "on behalf of an account": { headers: [...headers, ["stripe-account", "acct_1"]] },
  "if it is as it was": { headers: [...headers, ["if-match", '"1"']] },
  "as the provider should prefer": { headers: [...headers, ["prefer", "return=minimal"]] },
  "one bit of the body": { body: Buffer.from(body.map((byte, at) => (at === 7 ? byte ^ 1 : byte))) },
  "one byte more": { body: Buffer.concat([body, Buffer.from(" ")]) },
  "one byte less": { body: body.subarray(0, -1) },
  "no body": { body: null },
  "another version of the secret": {
    secrets: { secret: { ...secret, versionId: newId("version"), version: 4 } },
  },
  "another secret": { secrets: { secret: { ...secret, secretId: newId("secret") } } },
  "a secret of another tier": { secrets: { secret: { ...secret, tier: "critical" } } },
  "one secret more": { secrets: { ...call.secrets, "test/other/KEY": secret } },
  "a policy that was edited": { policies: [{ ...policy, version: 2 }] },
  "another policy": { policies: [{ ...policy, id: newId("policy") }] },
  "one policy more": { policies: [policy, { ...policy, id: newId("policy") }] },
  "another quorum": { approvals: 2 },
  "another delay": { delaySeconds: 1 },
};

describe("the digest of a call", () => {
  it("is the same for the same call", () => {
    expect(digestOfCall(exactCall())).toBe(digestOfCall(exactCall({ body: Buffer.from(body) })));
    expect(digestOfCall(call)).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each(Object.entries(CHANGES))("attack 75: is another one for %s", (_what, change) => {
    expect(digestOfCall(exactCall(change))).not.toBe(digestOfCall(call));
  });

  it("tells all of those from one another", () => {
    const digests = Object.values(CHANGES).map((change) => digestOfCall(exactCall(change)));
    expect(new Set(digests).size).toBe(digests.length);
  });

  it.each([
    ["user-agent", "other"],
    ["idempotency-key", "stripe-node-retry-2"],
    ["x-stripe-client-user-agent", "{}"],
    ["x-stripe-client-telemetry", "{}"],
    ["x-stainless-retry-count", "1"],
    ["traceparent", "00-1-2-01"],
    ["x-request-id", "2"],
    ["date", "today"],
    ["content-length", "3"],
  ])("is the same whatever %s says, which differs between attempts", (name, value) => {
    const others = headers.filter(([other]) => other !== name);
    expect(digestOfCall(exactCall({ headers: [...others, [name, value]] }))).toBe(digestOfCall(call));
    expect(digestOfCall(exactCall({ headers: others }))).toBe(digestOfCall(call));
  });

  it("is the same in whatever order headers come", () => {
    expect(digestOfCall(exactCall({ headers: headers.toReversed() }))).toBe(digestOfCall(call));
  });

  it("what a token's policy says to the agent is no part of it", () => {
    expect(digestOfCall(exactCall({ policies: [{ ...policy, message: "ask Ada" }] }))).toBe(
      digestOfCall(call),
    );
  });
});
