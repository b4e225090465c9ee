import { env } from "cloudflare:workers";
import { eq } from "drizzle-orm";
import { beforeAll, describe, expect, it, test } from "vitest";
import { openDatabase } from "../../../src/base/database.ts";
import { newId } from "../../../src/base/ids.ts";
import type { PolicyCreate } from "../../../src/policies/schemas.ts";
import type { GrantedPermission } from "../../../src/tokens/permission.ts";
import { tokens } from "../../../src/tokens/tables.ts";
import { type Arrived, call, createTenant, isolate, type Tenant } from "../support/tenant.ts";

let tenant: Tenant;
let token: string;
let bindings = isolate();

const connect = (slug: string, over: object = {}) =>
  tenant.services.connections.create(tenant.admin, {
    ...{ slug, base_url: "http://127.0.0.1:9/base", credential: { kind: "bearer" }, secret: "test/up/KEY" },
    ...over,
  } as never);

const policy = (slug: string, name: string, content: Omit<PolicyCreate, "name">) =>
  tenant.services.policies.create(tenant.admin, { name, connections: [slug], ...content } as PolicyCreate);

interface Outcome {
  /** Null: it arrived. */
  readonly code: string | null;
  readonly detail: string;
  readonly why: string;
  readonly arrived: Arrived | null;
}

async function make(path: string, init: RequestInit = {}, by = token): Promise<Outcome> {
  const { response } = await call(`/proxy/${path}`, by, init, bindings);
  const body = JSON.parse(await response.text()) as Arrived & { detail: string; why?: string };
  const code = response.headers.get("x-valetkey-error");
  return { code, detail: body.detail ?? "", why: body.why ?? "", arrived: code === null ? body : null };
}

const post = (
  body: BodyInit,
  type: string | null = "application/json",
  headers: object = {},
): RequestInit => ({
  method: "POST",
  // A string has a type of its own.
  body: typeof body === "string" ? new TextEncoder().encode(body) : body,
  headers: { ...(type === null ? {} : { "content-type": type }), ...headers },
});

/** Each part is a chunk of its own. */
function streamOf(parts: readonly (string | Uint8Array)[]): ReadableStream<Uint8Array> {
  const left = [...parts];
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      const part = left.shift();
      if (part === undefined) controller.close();
      else controller.enqueue(Buffer.from(part));
    },
  });
}

/** How each effect fares with a condition about the body, each on a connection of its own. */
const LOOKING = { deny: "looking-deny", require_approval: "looking-ask", allow: "looking-allow" } as const;
const FAILED = {
  deny: "POLICY_DENIED",
  require_approval: "APPROVAL_REQUIRED",
  allow: "SCOPE_DENIED",
} as const;

beforeAll(async () => {
  tenant = await createTenant();
  for (const slug of ["free", "mixed", "seen"]) await connect(slug);
  for (const slug of Object.values(LOOKING))
    await connect(slug, { default: slug.endsWith("allow") ? "deny" : "allow" });
  await connect("closed", { default: "deny" });
  await connect("bounded", { default: "deny", allow: [{ methods: ["POST"], paths: ["/a/*"] }] });
  await connect("keyed", { credential: { kind: "query", name: "key" } });
  await connect("methods");
  await connect("small", { limits: { max_body_bytes: 100 } });

  const on = (
    slug: string,
    effect: "allow" | "deny" | "require_approval",
    condition: string | null,
    message?: string,
  ) =>
    policy(slug, `${slug} ${effect} ${message ?? ""}`.trim(), {
      effect,
      condition,
      message: message ?? null,
    });
  await on("mixed", "allow", 'request.path.startsWith("/")');
  await on(
    "mixed",
    "require_approval",
    'request.path.startsWith("/ask") || request.path.startsWith("/deny")',
  );
  await on("mixed", "deny", 'request.path.startsWith("/deny")', "Not this one.");
  for (const [effect, slug] of Object.entries(LOOKING)) {
    await on(
      slug,
      effect as "deny",
      effect === "allow" ? "request.body.amount <= 100.0" : "request.body.amount > 100.0",
    );
  }
  await on("closed", "allow", 'request.method == "GET" && request.path == "/open"');
  await on("closed", "require_approval", 'request.path == "/ask"');
  await on("bounded", "allow", null);
  await on("bounded", "deny", 'request.path == "/a/never"');
  await on("keyed", "deny", '"key" in request.query || request.query["to"] != "me"');
  await on("methods", "deny", 'request.method == "DELETE"');
  await on("small", "deny", "request.body.amount > 100.0");
  const secretive = [
    "authorization",
    "cookie",
    "x-valetkey-token",
    "x-valetkey-prefer",
    "via",
    "proxy-authorization",
  ];
  await on("seen", "deny", secretive.map((name) => `"${name}" in request.headers`).join(" || "), "secretive");
  await on("seen", "deny", 'request.headers["x-kind"] != "a, b"', "joined");
  await on(
    "seen",
    "deny",
    'request.host != "127.0.0.1:9" || connection.slug != "seen" || secret.tier != "standard"',
    "facts",
  );
  await on(
    "seen",
    "deny",
    'token.user != "u-1" || token.context["reason"] != "why" || agent.name != "agent"',
    "who",
  );
  token = await tenant.token({ scopes: ["connections:call:*"], user: "u-1", context: { reason: "why" } });
});

describe("which policy counts", () => {
  it.each([
    ["/allowed", null],
    ["/ask", "APPROVAL_REQUIRED"],
    ["/deny", "POLICY_DENIED"],
  ])("deny wins, then people are asked, then it is allowed: %s", async (path, code) => {
    expect((await make(`mixed${path}`)).code).toBe(code);
  });

  it("a refusal names the policy and says what it says", async () => {
    const { detail, why } = await make("mixed/deny");
    expect(detail).toContain('"mixed deny Not this one."');
    expect(why).toBe("Not this one.");
  });

  it("a connection that denies by default lets through what a policy allows, or people approve, and nothing else", async () => {
    expect((await make("closed/open")).code).toBeNull();
    expect((await make("closed/ask")).code).toBe("APPROVAL_REQUIRED");
    expect((await make("closed/other")).code).toBe("SCOPE_DENIED");
    expect((await make("closed/open", post("{}"))).code).toBe("SCOPE_DENIED");
  });

  it("no policy lets through what a connection's `allow` list does not, and what it does needs none", async () => {
    expect((await make("bounded/b", post("{}"))).code).toBe("SCOPE_DENIED");
    expect((await make("bounded/a/x")).code).toBe("SCOPE_DENIED");
    expect((await make("bounded/a/x", post("{}"))).code).toBeNull();
    expect((await make("bounded/a/never", post("{}"))).code).toBe("POLICY_DENIED");
  });

  it("a change of a policy counts from the next call on", async () => {
    await connect("changing");
    expect((await make("changing/x")).code).toBeNull();
    await policy("changing", "changing", { effect: "deny", condition: null });
    bindings = isolate();
    expect((await make("changing/x")).code).toBe("POLICY_DENIED");
  });
});

describe("what a policy sees", () => {
  it("the headers that will be sent, joined, and none that belong to credentials or the gateway; who calls, and how", async () => {
    const headers = new Headers({ cookie: "a=b", "x-valetkey-prefer": "wait=1", "proxy-authorization": "x" });
    headers.append("x-kind", "a");
    headers.append("x-kind", "b");
    expect(await make("seen/x", { headers })).toMatchObject({ code: null });
    expect((await make("seen/x")).code).toBe("POLICY_DENIED");
  });

  it("the query without the credential, each name once, in what it stands for", async () => {
    expect((await make("keyed/x?t%6F=%6De&key=mine")).code).toBeNull();
    expect((await make("keyed/x?to=you")).code).toBe("POLICY_DENIED");
    expect((await make("keyed/x?to=me&to=you")).code).toBe("BODY_AMBIGUOUS");
  });

  it.each([
    ["application/json", '{"amount":100}', '{"amount":100.5}'],
    ["application/json; charset=utf-8", ' { "amount" : 1e2 } ', '{"\\u0061mount":1000}'],
    ["application/vnd.api+json", '{"amount":0}', '{"amount":101}'],
  ])("the body, %s", async (type, small, large) => {
    expect((await make(`${LOOKING.deny}/x`, post(small, type))).code).toBeNull();
    expect((await make(`${LOOKING.deny}/x`, post(large, type))).code).toBe("POLICY_DENIED");
    expect((await make(`${LOOKING.require_approval}/x`, post(small, type))).code).toBeNull();
    expect((await make(`${LOOKING.require_approval}/x`, post(large, type))).code).toBe("APPROVAL_REQUIRED");
    expect((await make(`${LOOKING.allow}/x`, post(small, type))).code).toBeNull();
    expect((await make(`${LOOKING.allow}/x`, post(large, type))).code).toBe("SCOPE_DENIED");
  });
});

/** Bodies in which nobody can look for an amount. */
const UNREADABLE: readonly (readonly [what: string, init: () => RequestInit])[] = [
  ["no media type", () => post('{"amount":1}', null)],
  ["another media type", () => post('{"amount":1}', "text/plain")],
  ["nearly JSON's", () => post('{"amount":1}', "application/jsonx")],
  ["another charset", () => post('{"amount":1}', "application/json; charset=iso-8859-1")],
  ["two charsets", () => post('{"amount":1}', "application/json; charset=utf-8; charset=utf-16")],
  ["compressed", () => post('{"amount":1}', "application/json", { "content-encoding": "identity" })],
  [
    "multipart",
    () =>
      post(
        '--x\r\nContent-Disposition: form-data; name="amount"\r\n\r\n1\r\n--x--',
        "multipart/form-data; boundary=x",
      ),
  ],
  ["no such field", () => post('{"amounts":1}')],
  ["a field of another type", () => post('{"amount":{"is":1}}')],
  ["no object", () => post("[1]")],
  ["no body", () => ({ method: "POST" })],
];

describe.each(UNREADABLE)("where the body cannot be looked into (%s)", (_what, init) => {
  it.each(Object.entries(LOOKING))("a policy that would %s fails closed", async (effect, slug) => {
    const { code } = await make(`${slug}/x`, init());
    // Where methods matter, a body that cannot be searched for one is refused for that already.
    expect([FAILED[effect as keyof typeof FAILED], "VALIDATION_ERROR"]).toContain(code);
    if (effect !== "deny") return;
    expect((await make("free/x", init())).code).toBeNull();
  });
});

const AMBIGUOUS: readonly (readonly [what: string, init: () => RequestInit])[] = [
  ["a member twice", () => post('{"amount":1,"amount":1000}')],
  ["a member twice, once escaped", () => post('{"amount":1,"\\u0061mount":1000}')],
  ["a member twice in two cases", () => post('{"amount":1,"Amount":1000}')],
  ["a member twice, further down", () => post('{"amount":1,"a":[{"b":1,"b":2}]}')],
  ["`__proto__` twice", () => post('{"__proto__":1,"__proto__":2,"amount":1}')],
  ["what is no UTF-8", () => post(new Uint8Array([...Buffer.from('{"amount":1,"a":"'), 0xff, 0x22, 0x7d]))],
  ["a byte order mark", () => post('\ufeff{"amount":1}')],
  ["something behind it", () => post('{"amount":1}{"amount":1000}')],
  ["a comment", () => post('{"amount":1/**/}')],
  ["a comma too many", () => post('{"amount":1,}')],
  ["half a character", () => post('{"amount":1,"a":"\\ud800"}')],
  ["a NUL", () => post('{"amount":1,"amount\\u0000":1000}')],
  ["a number above 2^53", () => post('{"amount":-9007199254740993}')],
  ["a number that 64 bits do not hold", () => post('{"amount":-1e20}')],
  ["a number without end", () => post('{"amount":-1e400}')],
  ["more digits than a double keeps", () => post('{"amount":99.99999999999999999}')],
  ["two media types", () => post('{"amount":1}', "application/json, text/plain")],
  ["a folded media type", () => post('{"amount":1}', "application/json", { content_type: "text/plain" })],
  ...[
    "amount=1&amount=1000",
    "amount=1&%61mount=1000",
    "amount=1&AMOUNT=1000",
    "amount=1&amount[]=1000",
    "amount=1&amount[0]=1000",
    "amount=1&+amount=1000",
    "amount=1&amount%00=1000",
    "amount=1;amount=1000",
    "amount=1&a.b=1&a_b=2",
    "amount=1&a.b=1&a[b]=2",
    "amount=1&a[0]=1&a[]=2",
    "amount=1&a[b]=1&a[]=2",
    "amount=1&a[b=1",
    "amount=%zz",
    "amount=%ff",
    "amount=1%00",
    "amount=1&b=é",
    "amount=1&%2561mount=1000",
  ].map((form) => [form, () => post(form, "application/x-www-form-urlencoded")] as const),
];

test.each(AMBIGUOUS)(
  "attacks 29, 75: a body that could be read in two ways goes nowhere: %s",
  async (_what, init) => {
    for (const slug of Object.values(LOOKING)) {
      expect((await make(`${slug}/x`, init())).code).toBe("BODY_AMBIGUOUS");
    }
    // Where nobody looks into it, it is the provider's business.
    expect((await make("free/x", init())).code).toBeNull();
  },
);

describe("what is decided on is what is sent", () => {
  const odd = '\r\n{ "b" : 1.50e+1 ,\t"\\u0061mount":1e1, "c":"\\/\\u00e9é" }\n';

  it("attack 75: byte for byte, whatever it looks like", async () => {
    const { arrived } = await make(`${LOOKING.deny}/x`, post(odd));
    expect(arrived?.body).toBe(odd);
    expect(arrived?.headers["content-length"]).toBe(String(Buffer.byteLength(odd)));
  });

  it("attack 75: a body that comes in pieces, of a length nobody announced, is read whole first", async () => {
    const bytes = [...Buffer.from(odd)].map((byte) => Uint8Array.of(byte));
    const { arrived } = await make(`${LOOKING.deny}/x`, post(streamOf(bytes)));
    expect(arrived?.body).toBe(odd);
    const above = streamOf(['{"amount":', "1", "0", "0", "0}"]);
    expect((await make(`${LOOKING.deny}/x`, post(above))).code).toBe("POLICY_DENIED");
  });

  it("one that is larger than can be looked into goes nowhere, and elsewhere it streams", async () => {
    const large = `{"amount":1,"a":"${"x".repeat(10_000_000)}"}`;
    expect((await make(`${LOOKING.deny}/x`, post(large))).code).toBe("BODY_TOO_LARGE");
    expect((await make(`small/x`, post(`{"amount":1,"a":"${"x".repeat(100)}"}`))).code).toBe(
      "BODY_TOO_LARGE",
    );
    const stream = streamOf(large.match(/.{1,65536}/g) ?? []);
    expect((await make("free/x", post(stream))).arrived?.body.length).toBe(large.length);
    // Of policies that do not look into bodies, too: here the length was announced.
    const announced = { "content-length": String(large.length) };
    const passed = await make("methods/x", post(large, "application/json", announced));
    expect(passed.arrived?.body.length).toBe(large.length);
  });

  it("people are asked about all of a call: what they look into was read whole, and one way only", async () => {
    expect((await make("mixed/ask?a=1&a=2")).code).toBe("BODY_AMBIGUOUS");
    expect((await make("mixed/ask", post('{"a":1,"a":2}'))).code).toBe("BODY_AMBIGUOUS");
    expect((await make("mixed/ask", post("x".repeat(2_000_000), "text/plain"))).code).toBe("BODY_TOO_LARGE");
    expect((await make("mixed/allowed?a=1&a=2", post('{"a":1,"a":2}'))).code).toBeNull();
  });

  it.each(["free", "methods"])("attack 28: a policy is a rule about methods as well: %s", async (slug) => {
    const { code } = await make(`${slug}/x`, post("_method=DELETE", "application/x-www-form-urlencoded"));
    expect(code).toBe(slug === "free" ? null : "VALIDATION_ERROR");
  });
});

describe("the token of a permission", () => {
  let permitted: string;

  /** As `requestPermission` would issue it. */
  async function tokenOf(connection: string, constraints: GrantedPermission["constraints"]): Promise<string> {
    const issued = await tenant.token({ scopes: ["connections:call:*"] });
    const { tokenId } = await tenant.services.tokenUses.identify(issued);
    const permission: GrantedPermission = {
      ...{ permissionId: newId("permission"), action: "refund", resource: null, constraints },
      calls: { connection, methods: ["POST"], paths: ["/refunds"] },
      agreed: { approvals: 1, delaySeconds: 0 },
    };
    const db = openDatabase(env as Env).of(tenant.tenantId);
    await db.update(tokens).set({ permission }).where(eq(tokens.id, tokenId));
    bindings = isolate();
    return issued;
  }

  beforeAll(async () => {
    await connect("paid");
    await policy("paid", "paid asks", { effect: "require_approval", condition: null });
    await policy("paid", "paid never", { effect: "deny", condition: 'request.headers["x-no"] == "1"' });
    await policy("paid", "paid never here", { effect: "deny", condition: '"no" in request.query' });
    permitted = await tokenOf("paid", [
      { name: "max_amount", kind: "max_amount", field: "body.amount", value: 100 },
    ]);
  });

  it("makes the call that was permitted, whose people have answered already, and no other", async () => {
    const within = (path: string, body: string) =>
      make(path, post(body, "application/json", { "x-no": "0" }), permitted);
    expect((await within("paid/refunds", '{"amount":100}')).code).toBeNull();
    for (const [path, body] of [
      ["paid/refunds", '{"amount":101}'],
      ["paid/refunds", '{"amounts":1}'],
      ["paid/other", '{"amount":1}'],
      ["free/refunds", '{"amount":1}'],
    ] as const) {
      const refused = await within(path, body);
      expect(refused.code).toBe("PERMISSION_DENIED");
      expect(refused.why).toContain("constraint");
    }
    expect((await within("paid/refunds", '{"amount":1,"amount":1000}')).code).toBe("BODY_AMBIGUOUS");
    expect((await make("paid/refunds", post('{"amount":1}', "application/json", { "x-no": "0" }))).code).toBe(
      "APPROVAL_REQUIRED",
    );
  });

  it("is held to what a policy denies all the same", async () => {
    const init = post('{"amount":1}', "application/json", { "x-no": "0" });
    expect((await make("paid/refunds?no=1", init, permitted)).code).toBe("POLICY_DENIED");
  });

  it("attack 28: names no other method in its body, also where no policy applies and it looks into nothing", async () => {
    const init = () => post("amount=1&_method=DELETE", "application/x-www-form-urlencoded", { "x-no": "0" });
    expect((await make("paid/refunds", init(), permitted)).code).toBe("VALIDATION_ERROR");
    const free = await tokenOf("free", []);
    expect((await make("free/refunds", init(), free)).code).toBe("VALIDATION_ERROR");
    expect(
      (await make("free/refunds", post("amount=1", "application/x-www-form-urlencoded"), free)).code,
    ).toBeNull();
  });
});
