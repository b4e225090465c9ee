import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Contract, newAjv } from "../support/contract.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { createTenant, type TestTenant } from "../support/tenant.ts";

let gateway: Gateway;
let tenant: TestTenant;
let contract: Contract;

beforeAll(async () => {
  gateway = await startGateway();
  tenant = await createTenant(gateway);
  contract = new Contract(await (await fetch(`${gateway.url}/v1/openapi.json`)).json());
});
afterAll(() => gateway.stop());

// oxlint-disable-next-line typescript/no-explicit-any -- a JSON document, looked at from outside.
type Json = any;

/**
 * https://spec.openapis.org/oas/3.1/schema/2022-10-07 (Apache-2.0). Its one dynamic anchor is followed by name: ajv
 * would take the reference to the whole document's schema, and nothing here overrides it.
 */
function specification(): Json {
  const file = path.join(import.meta.dirname, "../support/openapi-3.1.schema.json");
  const text = readFileSync(file, "utf8");
  return JSON.parse(text.replaceAll('"$dynamicRef": "#meta"', '"$ref": "#/$defs/schema"'));
}

function operations(): { place: string; path: string; operation: Json }[] {
  return Object.entries<Json>(contract.document.paths).flatMap(([template, methods]) =>
    Object.entries<Json>(methods).map(([method, operation]) => ({
      place: `${method} ${template}`,
      path: template,
      operation,
    })),
  );
}

/** Every part of the document, with where it stands. */
function* partsOf(value: Json, place = "#"): Generator<{ place: string; part: Json }> {
  if (typeof value !== "object" || value === null) return;
  yield { place, part: value };
  for (const [name, part] of Object.entries(value)) yield* partsOf(part, `${place}/${name}`);
}

describe("the document", () => {
  test("is OpenAPI 3.1, by the specification's own schema", () => {
    const ajv = newAjv();
    const validate = ajv.compile(specification());
    expect(validate(contract.document), ajv.errorsText(validate.errors?.slice(0, 5))).toBe(true);
    const { info: _, ...without } = contract.document;
    expect(validate(without)).toBe(false);
    expect(validate({ ...contract.document, paths: { "/x": { get: { responses: {}, of: 1 } } } })).toBe(
      false,
    );
  });

  test("has schemas that are JSON Schema 2020-12", () => {
    const ajv = newAjv();
    const schemas = [...partsOf(contract.document)].filter(({ place }) =>
      /\/(?:schema|components\/schemas\/[^/]+)$/.test(place),
    );
    expect(schemas.length).toBeGreaterThan(100);
    for (const { place, part } of schemas) {
      expect(ajv.validateSchema(part), `${place}: ${ajv.errorsText()}`).toBe(true);
    }
  });

  test("has no reference that leads nowhere, and no component that nothing refers to", () => {
    const references = [...partsOf(contract.document)].flatMap(({ part }) =>
      typeof part.$ref === "string" ? [part.$ref] : [],
    );
    const { schemas, responses, headers } = contract.document.components;
    const defined = Object.entries<object>({ schemas, responses, headers }).flatMap(([kind, named]) =>
      Object.keys(named).map((name) => `#/components/${kind}/${name}`),
    );
    expect([...new Set(references)].toSorted()).toEqual(defined.toSorted());
  });

  test("names each operation once, says who may call it, and declares each parameter of its path", () => {
    const ids = operations().map(({ operation }) => operation.operationId);
    expect(ids.length).toBeGreaterThan(30);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { place, path: template, operation } of operations()) {
      expect(operation.description, place).toContain("**Who:**");
      expect(operation.summary, place).toMatch(/^.{5,100}[^.]$/);
      const inPath = [...template.matchAll(/\{([a-z_]+)\}/g)].map(([, name]) => name);
      const declared = (operation.parameters ?? []).filter((one: Json) => one.in === "path");
      expect(
        declared.map((one: Json) => one.name),
        place,
      ).toEqual(inPath);
      expect(Object.keys(operation.responses), place).toEqual(expect.arrayContaining(["429", "500"]));
    }
  });

  test("tells of every member of every answer: objects are closed unless they are maps", () => {
    for (const { place, part } of partsOf(contract.document)) {
      if (part.type !== "object" || part.properties === undefined) continue;
      const isOpen = ["credential", "getOpenApi"].some((name) => place.includes(name));
      if (!isOpen && !place.includes("openapi.json")) expect(part.additionalProperties, place).toBe(false);
    }
  });

  test("is the same for everyone, and costs no credential", async () => {
    const asked = await Promise.all(
      [{}, { authorization: `Bearer ${tenant.admin.credential}` }].map(async (headers) =>
        (await fetch(`${gateway.url}/v1/openapi.json`, { headers })).text(),
      ),
    );
    expect(new Set(asked).size).toBe(1);
  });
});

describe("real answers, by the document that is served", () => {
  const seen = async (method: string, target: string, init: RequestInit = {}) => {
    const authorization = `Bearer ${tenant.admin.credential}`;
    const response = await fetch(gateway.url + target, { method, headers: { authorization }, ...init });
    const { status, headers } = response;
    return { status, headers, text: await response.text() };
  };

  test.each<[string, string, object?]>([
    ["GET", "/v1/health"],
    ["GET", "/v1/me"],
    ["GET", "/v1/agents"],
    ["GET", "/v1/agents/x"],
    ["POST", "/v1/agents", { name: "one" }],
    ["POST", "/v1/agents", { name: 1 }],
    ["PUT", "/v1/secrets/a/b/KEY", { value: "a-value-of-some-length" }],
    ["GET", "/v1/secrets/a/b/KEY"],
    ["GET", "/v1/secrets/a%2Fb%2FKEY"],
    ["GET", "/v1/secrets/a/b"],
    ["GET", "/v1/secrets/a/b/KEY/versions"],
    ["POST", "/v1/secrets/a/b/KEY/rollback", { version: 1 }],
    ["DELETE", "/v1/secrets/a/b/KEY"],
    ["GET", "/v1/secrets/a/b/KEY"],
    ["GET", "/v1/providers"],
    ["GET", "/v1/tokens"],
    ["GET", "/v1/audit"],
    ["POST", "/v1/tokens", {}],
  ])("%s %s", async (method, target, body) => {
    const answer = await seen(method, target, body === undefined ? {} : { body: JSON.stringify(body) });
    expect(contract.faultOf(method, target, answer)).toBeNull();
  });

  test("one that is not as the document says is found: a status, a member, a type, a header", async () => {
    const answer = await seen("GET", "/v1/me");
    const with_ = (change: object) => contract.faultOf("GET", "/v1/me", { ...answer, ...change });
    const body = JSON.parse(answer.text);
    const { name: _, ...without } = body;
    expect(with_({})).toBeNull();
    expect(with_({ status: 418 })).toContain("418");
    expect(with_({ text: JSON.stringify({ ...body, more: 1 }) })).toContain("additional");
    expect(with_({ text: JSON.stringify(without) })).toContain("required");
    expect(with_({ text: JSON.stringify({ ...body, script: "yes" }) })).toContain("boolean");
    expect(with_({ headers: new Headers({ "content-type": "application/json" }) })).toContain("X-Request-Id");
    expect(
      with_({
        headers: new Headers({ ...Object.fromEntries(answer.headers), "content-type": "text/plain" }),
      }),
    ).toContain("text/plain");
    const refused = await seen("GET", "/v1/agents/x");
    const other = refused.text.replaceAll("VALIDATION_ERROR", "UPSTREAM_FAILED");
    expect(contract.faultOf("GET", "/v1/agents/x", refused)).toBeNull();
    expect(contract.faultOf("GET", "/v1/agents/x", { ...refused, text: other })).toContain("allowed values");
  });
});
