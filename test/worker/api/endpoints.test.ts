import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { Hono } from "hono";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import type { Api, ApiEnv } from "../../../src/api/context.ts";
import { answerFailure, markAnswers, openServices } from "../../../src/api/door.ts";
import { mount } from "../../../src/api/mount.ts";
import { declareFor, type Endpoint, FORM_MEDIA } from "../../../src/base/endpoint.ts";
import { createServices } from "../../../src/services.ts";
import { signedIn } from "../support/signed-in.ts";
import { bindings, newTenant, send } from "./door.ts";

const endpoint = declareFor<Api>();
const answered = z.strictObject({ by: z.string() });
const reached: string[] = [];
const common = { tag: "Test", summary: "A test", responses: { 200: answered } } as const;

const scope = { resource: "secrets", action: "read" } as const;
const params = z.strictObject({ path: z.string().regex(/^[a-z/]+$/) });
const body = z.strictObject({ number: z.number() });

const TABLE: readonly Endpoint[] = [
  endpoint({
    ...common,
    method: "POST",
    path: "/v1/person",
    operationId: "person",
    access: { roles: ["admin"], person: true },
    body,
    handler: ({ caller, c }) => reach(c, caller.name),
  }),
  endpoint({
    ...common,
    method: "POST",
    path: "/v1/held",
    operationId: "held",
    access: { token: true },
    handler: ({ caller, c }) => reach(c, caller.grant.tokenId),
  }),
  endpoint({
    ...common,
    method: "POST",
    path: "/v1/things/{+path}",
    operationId: "scoped",
    access: { roles: ["editor"], token: scope },
    params,
    body,
    target: ({ params: given }) => given.path,
    handler: ({ params: given, c }) => reach(c, given.path),
  }),
  endpoint({
    ...common,
    method: "POST",
    path: "/v1/things/{+path}/done",
    operationId: "done",
    access: { roles: ["editor"], token: scope },
    params,
    handler: ({ params: given, c }) => reach(c, given.path),
  }),
  endpoint({
    ...common,
    method: "POST",
    path: "/v1/form",
    operationId: "form",
    access: "public",
    body: z.strictObject({ name: z.string() }),
    bodyMedia: [FORM_MEDIA],
    handler: ({ body: given, c }) => reach(c, given.name),
  }),
];

function reach(c: Api["context"], by: string): Response {
  reached.push(by);
  return c.json({ by });
}

let tenant: Awaited<ReturnType<typeof newTenant>>;
let agent: { api_key: string };
beforeAll(async () => {
  tenant = await newTenant();
  const made = { name: "an agent", allowed_scopes: ["secrets:read:*"] };
  agent = (await send("POST", "/v1/agents", { credential: tenant.admin, body: made })).body;
});

async function token(): Promise<string> {
  const asked = { scopes: ["secrets:read:a/*"], ttl: "10m", max_uses: 1 };
  return (await send("POST", "/v1/tokens", { credential: agent.api_key, body: asked })).body.token;
}

async function call(
  path: string,
  credential: string | null,
  init: Omit<RequestInit, "headers"> & { readonly headers?: Readonly<Record<string, string>> } = {},
) {
  reached.length = 0;
  const app = new Hono<ApiEnv>();
  const context = createExecutionContext();
  app.onError(answerFailure);
  app.use(
    markAnswers,
    openServices((c) => createServices(c.env, "localhost", (promise) => context.waitUntil(promise))),
  );
  mount(app, TABLE);
  const headers = {
    ...(credential === null ? {} : { authorization: `Bearer ${credential}` }),
    ...{ "cf-connecting-ip": "192.0.2.1" },
    ...init.headers,
  };
  const request = new Request(`http://localhost${path}`, { method: "POST", ...init, headers });
  const response = await app.fetch(request, bindings, context);
  const answer: { readonly by?: string; readonly error?: { readonly code: string } } = await response.json();
  await waitOnExecutionContext(context);
  return [response.status, answer.error?.code ?? answer.by];
}

const GOOD = { body: JSON.stringify({ number: 1 }) };

describe("a path that may hold slashes", () => {
  test.each(["%0A", "%0D", "%E2%80%A8", "%E2%80%A9"])(
    "holds %s, too: it is first asked who calls, then what for",
    async (lineBreak) => {
      const path = `/v1/secrets/a/${lineBreak}b`;
      for (const [method, target] of [
        ["GET", path],
        ["DELETE", path],
        ["GET", `${path}/versions`],
        ["POST", `${path}/rotate`],
        ["GET", `/v1/namespaces/a${lineBreak}`],
      ] as const) {
        expect((await send(method, target)).body.error.code, target).toBe("UNAUTHORIZED");
        const answer = await send(method, target, { credential: tenant.editor });
        expect(answer.body.error.code, `${method} ${target}`).toBe("VALIDATION_ERROR");
      }
    },
  );
});

describe("what an endpoint declares is what is enforced, before its handler runs", () => {
  test("a person is no credential for scripts", async () => {
    expect(await call("/v1/person", tenant.admin, GOOD)).toEqual([403, "ROLE_DENIED"]);
    expect(reached).toEqual([]);
    const { headers } = await signedIn(tenant.tenantId, "admin");
    expect(await call("/v1/person", null, { ...GOOD, headers })).toEqual([200, "admin"]);
  });

  test("the role is checked before the input, for members, agents and tokens that have no business here", async () => {
    for (const credential of [tenant.viewer, agent.api_key, await token()]) {
      expect(await call("/v1/person", credential, { body: "{" })).toEqual([403, "ROLE_DENIED"]);
    }
    for (const credential of [tenant.viewer, agent.api_key]) {
      expect(await call("/v1/things/A", credential, { body: "{" })).toEqual([403, "ROLE_DENIED"]);
      expect(await call("/v1/held", credential)).toEqual([403, "ROLE_DENIED"]);
    }
    expect(reached).toEqual([]);
  });

  test("a token is charged once the input is good and its scope covers it, and not before", async () => {
    const once = await token();
    expect(await call("/v1/things/A", once, GOOD)).toEqual([400, "VALIDATION_ERROR"]);
    expect(await call("/v1/things/a/b", once, { body: "{" })).toEqual([400, "VALIDATION_ERROR"]);
    expect(await call("/v1/things/b/c", once, GOOD)).toEqual([403, "SCOPE_DENIED"]);
    expect(reached).toEqual([]);
    expect(await call("/v1/things/a/b", once, GOOD)).toEqual([200, "a/b"]);
    expect(await call("/v1/things/a/b", once, GOOD)).toEqual([403, "USES_EXHAUSTED"]);
    expect(reached).toEqual([]);
    expect(await call("/v1/things/a/b", tenant.editor, GOOD)).toEqual([200, "a/b"]);
  });

  test("a token that only has to be live is charged nothing", async () => {
    const once = await token();
    for (const _ of [1, 2, 3]) expect((await call("/v1/held", once))[0]).toBe(200);
    expect(await call("/v1/things/a/b", once, GOOD)).toEqual([200, "a/b"]);
  });

  test("an answer to a token that its handler forgot to charge does not go out", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    expect(await call("/v1/things/a/b/done", await token())).toEqual([500, "INTERNAL"]);
    expect(logged).toHaveBeenCalledOnce();
    logged.mockRestore();
    expect(await call("/v1/things/a/b/done", tenant.editor)).toEqual([200, "a/b"]);
  });

  test("a path with slashes may have them encoded, before and after its ending", async () => {
    for (const path of ["a/b/done", "a%2Fb/done", "a%2fb%2Fdone"]) {
      expect(await call(`/v1/things/${path}`, tenant.editor)).toEqual([200, "a/b"]);
    }
    expect(await call("/v1/things/a%2Fb", tenant.editor, GOOD)).toEqual([200, "a/b"]);
  });

  test("a form's fields are read where a form is taken, each given once", async () => {
    const form = (text: string) => ({
      body: text,
      headers: { "content-type": `${FORM_MEDIA}; charset=utf-8` },
    });
    expect(await call("/v1/form", "", form("name=one+two"))).toEqual([200, "one two"]);
    expect(await call("/v1/form", "", form("name=one&name=two"))).toEqual([400, "VALIDATION_ERROR"]);
    expect(await call("/v1/form", "", form("other=one"))).toEqual([400, "VALIDATION_ERROR"]);
    expect(await call("/v1/form", "", form(`name=${"a".repeat(20_000)}`))).toEqual([413, "BODY_TOO_LARGE"]);
  });
});
