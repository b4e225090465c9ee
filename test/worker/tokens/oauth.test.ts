import { beforeAll, describe, expect, test } from "vitest";
import { send } from "../api/door.ts";
import { ProofKey } from "../support/dpop.ts";
import { openTrusting, type Trusting } from "./workload.ts";

const FORM = { "content-type": "application/x-www-form-urlencoded" };

let ci: Trusting;
let other: Trusting;
beforeAll(async () => {
  [ci, other] = await Promise.all([openTrusting(), openTrusting()]);
});

async function issue(over: object = {}, { apiKey } = ci): Promise<{ token: string; token_id: string }> {
  const body = { scopes: ["connections:call:up"], ttl: "10m", ...over };
  const answer = await send("POST", "/v1/tokens", { credential: apiKey, body });
  expect(answer.status).toBe(201);
  return answer.body;
}

async function revoke(token: string, credential: string) {
  const body = new URLSearchParams({ token, token_type_hint: "access_token" }).toString();
  return send("POST", "/oauth/revoke", { credential, body, headers: FORM });
}

const isLive = async (token: string): Promise<boolean> =>
  (await send("GET", "/v1/me", { credential: token })).status === 200;

describe("revocation by a token's text (RFC 7009)", () => {
  test("by itself, by its agent, and by an admin or editor; it is dead on its next use", async () => {
    const { admin, editor } = ci.tenant;
    for (const by of ["itself", ci.apiKey, admin, editor]) {
      const { token } = await issue();
      const answer = await revoke(token, by === "itself" ? token : by);
      expect([answer.status, answer.headers.get("content-length") ?? "0"]).toEqual([200, "0"]);
      expect(await isLive(token)).toBe(false);
    }
  });

  test("whatever is not live, or not the caller's, is a 200 as well, and left alone", async () => {
    const { token } = await issue();
    const sibling = await issue();
    const foreign = await issue({}, other);
    const { body: agent } = await send("POST", "/v1/agents", {
      credential: ci.tenant.admin,
      body: { name: "another", allowed_scopes: ["connections:call:*"] },
    });
    for (const [credential, text] of [
      [ci.apiKey, "garbage"],
      [ci.apiKey, foreign.token],
      [ci.tenant.admin, foreign.token],
      [other.tenant.admin, token],
      [agent.api_key, token],
      [sibling.token, token],
      [ci.apiKey, ci.apiKey],
    ] as const) {
      expect((await revoke(text, credential)).status).toBe(200);
    }
    for (const live of [token, sibling.token, foreign.token]) expect(await isLive(live)).toBe(true);
    expect((await revoke(token, ci.apiKey)).status).toBe(200);
    expect((await revoke(token, ci.apiKey)).status).toBe(200);
    expect(await isLive(token)).toBe(false);
  });

  test("takes a live credential of who may, and says so as RFC 6749 has it", async () => {
    const { token } = await issue();
    const nobody = await send("POST", "/oauth/revoke", { body: { token } });
    expect([nobody.status, nobody.body.error, nobody.body.code]).toEqual([
      401,
      "invalid_client",
      "UNAUTHORIZED",
    ]);
    expect(nobody.headers.get("www-authenticate")).toContain("Bearer");
    const viewer = await revoke(token, ci.tenant.viewer);
    expect([viewer.status, viewer.body.error]).toEqual([403, "unauthorized_client"]);
    const empty = await send("POST", "/oauth/revoke", { credential: ci.apiKey, body: {} });
    expect([empty.status, empty.body.error]).toEqual([400, "invalid_request"]);
    expect(await isLive(token)).toBe(true);
  });

  test("attack 58: one that is bound to a key revokes itself with a proof only", async () => {
    const key = await ProofKey.make();
    const { token } = await issue({ dpop_jkt: key.thumbprint });
    expect((await revoke(token, token)).status).toBe(401);
    const proof = await key.proof("POST", "http://localhost/oauth/revoke", token);
    const headers = { authorization: `DPoP ${token}`, dpop: proof };
    const answer = await send("POST", "/oauth/revoke", { body: { token }, headers });
    expect(answer.status).toBe(200);
    const introspected = await send("POST", "/oauth/introspect", { credential: ci.apiKey, body: { token } });
    expect(introspected.body).toEqual({ active: false });
  });
});

describe("metadata", () => {
  test("names the gateway's own endpoints, as an authorization server and as a resource", async () => {
    const server = (await send("GET", "/.well-known/oauth-authorization-server")).body;
    expect(server).toMatchObject({
      issuer: "http://localhost",
      token_endpoint: "http://localhost/oauth/token",
      grant_types_supported: ["urn:ietf:params:oauth:grant-type:token-exchange"],
      token_endpoint_auth_methods_supported: ["none"],
    });
    expect(server.dpop_signing_alg_values_supported).toContain("ES256");
    expect(server.dpop_signing_alg_values_supported).not.toContain("none");
    const resource = (await send("GET", "/.well-known/oauth-protected-resource")).body;
    expect(resource).toMatchObject({ resource: server.issuer, authorization_servers: [server.issuer] });
  });
});
