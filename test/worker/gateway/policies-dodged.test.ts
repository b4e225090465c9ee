import { beforeAll, describe, expect, it } from "vitest";
import type { PolicyCreate } from "../../../src/policies/schemas.ts";
import { call, createTenant, isolate, type Tenant } from "../support/tenant.ts";

/* Calls that an upstream may read as what a policy is about, though they are not spelled so. */

let tenant: Tenant;
let token: string;
const bindings = isolate();

async function policed(slug: string, content: Omit<PolicyCreate, "name">, over: object = {}): Promise<void> {
  await tenant.services.connections.create(tenant.admin, {
    ...{ slug, base_url: "http://127.0.0.1:9", credential: { kind: "bearer" }, secret: "test/up/KEY" },
    ...over,
  } as never);
  const policy = { name: slug, connections: [slug], ...content } as PolicyCreate;
  await tenant.services.policies.create(tenant.admin, policy);
}

beforeAll(async () => {
  tenant = await createTenant();
  await policed("denied", { effect: "deny", condition: 'request.path == "/pay/out"' });
  await policed("asked", { effect: "require_approval", condition: 'request.path.endsWith(":refund")' });
  await policed(
    "allowed",
    { effect: "allow", condition: 'request.path.matches("^/read/[^/]+$") || request.path == "/a%2Fb"' },
    { default: "deny" },
  );
  await policed(
    "named",
    { effect: "allow", condition: 'request.path in ["/groups/a%2Fb", "/groups/a/b"]' },
    { default: "deny" },
  );
  await policed("optional", {
    effect: "deny",
    condition: "has(request.body.amount) && double(request.body.amount) > 100.0",
  });
  await policed("headed", { effect: "deny", condition: 'request.headers["x-team"] != "ours"' });
  token = await tenant.token({ scopes: ["connections:call:*"] });
});

/** The refusal's code; null: it arrived. */
async function codeOf(path: string, init: RequestInit = {}): Promise<string | null> {
  const { response } = await call(`/proxy/${path}`, token, init, bindings);
  await response.text();
  return response.headers.get("x-valetkey-error");
}

describe("attack 25: an upstream that undoes the escapes of a path before it looks at it", () => {
  it.each(["/pay/out", "/pay%2Fout", "/pay%2fout", "/%70ay%2Fout"])("%s is denied", async (path) => {
    expect(await codeOf(`denied${path}`)).toBe("POLICY_DENIED");
  });

  it.each(["/pay%2Fin", "/pay/out%20", "/pay%2Fout%2Fx"])(
    "%s is not, which is something else",
    async (path) => {
      expect(await codeOf(`denied${path}`)).toBeNull();
    },
  );

  it.each(["/x:refund", "/x%3Arefund", "/x%3arefund"])("people are asked about %s", async (path) => {
    expect(await codeOf(`asked${path}`, { method: "POST", body: "x" })).toBe("APPROVAL_REQUIRED");
  });

  it("a policy allows what it allows in either spelling", async () => {
    expect(await codeOf("allowed/read/x")).toBeNull();
    expect(await codeOf("allowed/read/x%20y")).toBeNull();
    expect(await codeOf("allowed/read/x%2Fdelete")).toBe("SCOPE_DENIED");
    expect(await codeOf("allowed/a%2Fb")).toBe("SCOPE_DENIED");
    expect(await codeOf("named/groups/a%2Fb")).toBeNull();
  });
});

describe("attack 29: a field that a policy reads stands somewhere else", () => {
  const post = (body: string, type: string): RequestInit => ({
    ...{ method: "POST", body: new TextEncoder().encode(body), headers: { "content-type": type } },
  });
  const FORM = "application/x-www-form-urlencoded";
  const JSON_TYPE = "application/json";

  it.each(["amount=999", "AMOUNT=999", "amount[]=999", "amount[x]=999", "a%6Dount=999", "x=1&amount=999"])(
    "in the query, ?%s, as well as in the body: it goes nowhere",
    async (query) => {
      expect(await codeOf(`optional/x?${query}`, post('{"amount":1}', JSON_TYPE))).toBe("BODY_AMBIGUOUS");
      expect(await codeOf(`optional/x?${query}`, post("amount=1", FORM))).toBe("BODY_AMBIGUOUS");
    },
  );

  it("a query of other names passes", async () => {
    expect(await codeOf("optional/x?api-version=2", post('{"amount":1}', JSON_TYPE))).toBeNull();
    expect(await codeOf("optional/x?expand[]=a", post("amount=1", FORM))).toBeNull();
    expect(await codeOf("optional/x?amount=1", post("[1]", JSON_TYPE))).toBeNull();
  });

  it.each(['{"amount":999,"x":"="}', '[{"amount":999}]', '{"amount":999}'])(
    "in JSON that says it is a form, %s: it goes nowhere",
    async (body) => {
      expect(await codeOf("optional/x", post(body, FORM))).toBe("BODY_AMBIGUOUS");
    },
  );

  it.each(["x_team", "X-Team_", "x.team"])(
    "in a header %s that some servers take for another",
    async (name) => {
      const headers = { "x-team": "ours" };
      expect(await codeOf("headed/x", { headers })).toBeNull();
      const other = name === "X-Team_" ? { "x-team-": "theirs" } : {};
      expect(await codeOf("headed/x", { headers: { ...headers, ...other, [name]: "theirs" } })).toBe(
        "POLICY_DENIED",
      );
    },
  );
});
