import { beforeAll, describe, expect, it } from "vitest";
import { Redacted } from "../../../src/base/redacted.ts";
import { type Arrived, call, createTenant, type Tenant } from "../support/tenant.ts";

/** 2,400 characters that no two places share. */
const LONG = Array.from(crypto.getRandomValues(new Uint8Array(1_200)), (byte) =>
  byte.toString(16).padStart(2, "0"),
).join("");
const MIB = 1024 * 1024;

let tenant: Tenant;
let token: string;
beforeAll(async () => {
  tenant = await createTenant();
  const { admin, services } = tenant;
  const hosts = { allowedHosts: ["127.0.0.1:9"] };
  await services.vault.changes.put(admin, "big/KEY", { value: new Redacted(LONG), ...hosts });
  await services.vault.changes.put(admin, "raw/KEY", {
    value: new Redacted(
      Uint8Array.from([0xff, 0xfe, ...Array.from({ length: 40 }, (_, index) => index * 5)]),
    ),
    ...hosts,
  });
  await services.connections.create(admin, {
    slug: "refs",
    base_url: "http://127.0.0.1:9/base",
    credential: { kind: "bearer" },
    secret: "test/up/KEY",
    references: ["headers", "query", "body"],
  } as never);
  token = await tenant.token({ scopes: ["connections:call:refs", "secrets:use:*"] });
});

async function answerTo(
  path: string,
  init: RequestInit = {},
): Promise<{ status: string; arrived: Arrived | null }> {
  const { response } = await call(`/proxy/refs${path}`, token, init);
  const text = await response.text();
  const status = `${response.status} ${response.headers.get("x-valetkey-error") ?? "passed"}`;
  return { status, arrived: response.ok ? (JSON.parse(text) as Arrived) : null };
}

const post = (body: string, type = "text/plain") =>
  answerTo("/x", { method: "POST", body, headers: { "content-type": type } });

describe("references in a request", () => {
  it("are at most 20 different ones, each as often as there is room", async () => {
    const different = (count: number) =>
      Array.from({ length: count }, (_, index) => `vault://none/K${index}`).join(" ");
    expect((await post(different(20))).status).toBe("404 SECRET_NOT_FOUND");
    expect((await post(different(21))).status).toBe("400 VALIDATION_ERROR");
    const query = different(20).replaceAll(" ", "+");
    expect((await answerTo(`/x?q=${query}`, { headers: { "x-a": "vault://none/K0" } })).status).toBe(
      "404 SECRET_NOT_FOUND",
    );
    expect((await answerTo(`/x?q=${query}`, { headers: { "x-a": "vault://none/K20" } })).status).toBe(
      "400 VALIDATION_ERROR",
    );
    expect((await post("vault://big/KEY ".repeat(30))).status).toBe("200 passed");
  });

  it.each([
    ["as they are", "text/plain"],
    ["in JSON", "application/json"],
    ["in a form", "application/x-www-form-urlencoded"],
  ])("attack 89: never make a body larger than a whole body may be: %s", async (_what, type) => {
    const most = Math.floor(MIB / (LONG.length + 1));
    const fits = await post("vault://big/KEY ".repeat(most), type);
    expect(fits.status).toBe("200 passed");
    expect((await post("vault://big/KEY ".repeat(most + 1), type)).status).toBe("413 BODY_TOO_LARGE");
  });

  it("attack 89: never make headers or a query large", async () => {
    const headers = (count: number) => ({
      "x-a": Array.from({ length: count }, () => "vault://big/KEY").join(" "),
    });
    expect((await answerTo("/x", { headers: headers(2) })).status).toBe("200 passed");
    expect((await answerTo("/x", { headers: headers(100) })).status).toBe("409 SECRET_UNUSABLE");
    const query = (count: number) =>
      `/x?${Array.from({ length: count }, (_, index) => `k${index}=vault://big/KEY`).join("&")}`;
    expect((await answerTo(query(2))).status).toBe("200 passed");
    expect((await answerTo(query(100))).status).toBe("409 SECRET_UNUSABLE");
  });

  it("to a secret that is not text say so", async () => {
    expect((await post("vault://raw/KEY")).status).toBe("409 SECRET_UNUSABLE");
    expect((await answerTo("/x?k=vault://raw/KEY")).status).toBe("409 SECRET_UNUSABLE");
    expect((await answerTo("/x", { headers: { "x-a": "vault://raw/KEY" } })).status).toBe(
      "409 SECRET_UNUSABLE",
    );
  });
});
