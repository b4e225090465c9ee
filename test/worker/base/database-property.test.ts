import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { pinsOf } from "../../../src/base/statement-guard-shape.ts";
import { Refused } from "../../../src/base/statement-guard-tokens.ts";
import { guarded, newTeam, type Team } from "./database-fixtures.ts";

afterEach(() => vi.restoreAllMocks());

const ATOMS =
  "tenant_id = ?|a.tenant_id = ?|a.tenant_id = ?|k.tenant_id = ?|k.tenant_id = ?|? = a.tenant_id|a.tenant_id = k.tenant_id|k.tenant_id = a.tenant_id|" +
  "a.tenant_id = 'ten_x'|1 = 1|0|null|a.id = k.agent_id|a.name <> ?|id > ''|? in (?)|a.tenant_id in (?)|a.tenant_id = a.tenant_id";

/** Conditions that SQLite can read, in which the tenant stands where it counts, or where it does not. */
const { condition } = fc.letrec<{ condition: string }>((tie) => {
  const of = (make: (...parts: string[]) => string, count = 1) =>
    fc.array(tie("condition"), { minLength: count, maxLength: count }).map((parts) => make(...parts));
  const atom = fc.constantFrom(...ATOMS.split("|"));
  return {
    condition: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      { weight: 3, arbitrary: atom },
      { weight: 3, arbitrary: of((a, b) => `${a} and ${b}`, 2) },
      of((a, b) => `${a} or ${b}`, 2),
      { weight: 2, arbitrary: of((a) => `(${a})`) },
      of((a) => `not ${a}`),
      of((a) => `${a} is null`),
      of((a) => `${a} = 0`),
      of((a) => `coalesce(${a}, 1)`),
      of((a, b, c) => `${a} between ${b} and ${c}`, 3),
      of((a, b, c) => `case when ${a} then ${b} else ${c} end`, 3),
      of((a) => `exists (select 1 from agent_keys k where ${a})`),
      of((a) => `a.tenant_id in (select tenant_id from agents a where ${a})`),
    ),
  };
});

/** A condition that is half of what is needed, or all of it, before any other. */
const begun = fc
  .tuple(
    fc.constantFrom("", "a.tenant_id = ? and ", "k.tenant_id = ? and ", "k.tenant_id = a.tenant_id and "),
    condition,
  )
  .map((parts) => parts.join(""));

const JOINS = ["join", "left join", "left join", "right join", "full join", ",", "cross join"];

const select = fc.oneof(
  fc.tuple(fc.constantFrom(...JOINS), begun, begun).map(([join, on, where]) => {
    const source = /^[,c]/.test(join)
      ? `agents a ${join} agent_keys k`
      : `agents a ${join} agent_keys k on ${on}`;
    return `select a.id, a.tenant_id as t, k.id as k, k.tenant_id as kt from ${source} where ${where}`;
  }),
  condition.map((where) => `select id, tenant_id from agents a where ${where}`),
  fc.tuple(condition, condition).map(([one, two]) => {
    return `select id from agents a where ${one} union all select id from agents a where ${two}`;
  }),
  fc.tuple(condition, condition).map(([one, two]) => {
    return `with k as (select * from agents a where ${one}) select id, tenant_id from k as a where ${two}`;
  }),
);

const change = fc
  .tuple(fc.constantFrom("update agents as a set name = 'taken'", "delete from agent_keys as a"), condition)
  .map(([head, where]) => `${head} where ${where} returning id, tenant_id`);

const WORDS =
  "select|insert|into|values|(|)|agents|tenant_id|=|?|?1|where|from|,|case|end|in|'|\"|on|join|left|with|as".split(
    "|",
  );
const PINNED = "select * from agents a where a.tenant_id = ?";

/** The parameters that hold the statement to the tenant are bound to it, all others to the other tenant. */
function bindings(text: string, own: Team, other: Team): readonly string[] | null {
  try {
    const pins = pinsOf(text);
    return Array.from(text.match(/\?/g) ?? [], (_, at) => (pins.includes(at + 1) ? own : other).tenantId);
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
}

/** Runs what the guard lets through; null where it or SQLite refuses. */
async function rowsOf(text: string, own: Team, other: Team): Promise<readonly unknown[] | null> {
  const values = bindings(text, own, other);
  if (values === null) return null;
  const statement = guarded(own.tenantId)
    .prepare(text)
    .bind(...values);
  return statement.all().then(
    ({ results }) => results,
    () => null,
  );
}

test(
  "attack 73: whatever select is let through, SQLite answers it with the tenant's rows alone",
  { timeout: 60_000 },
  async () => {
    const [own, other] = [await newTeam(), await newTeam()];
    let answered = 0;
    await fc.assert(
      fc.asyncProperty(select, async (text) => {
        const rows = await rowsOf(text, own, other);
        if (rows === null) return;
        answered++;
        expect(JSON.stringify(rows), text).not.toContain(other.tenantId);
        expect(JSON.stringify(rows), text).not.toContain(other.agentId);
      }),
      { numRuns: 10_000, seed: 73 },
    );
    expect(answered).toBeGreaterThan(100);
    expect((await rowsOf(PINNED, own, other))?.length).toBe(1);
  },
);

test(
  "attack 73: whatever change is let through, another tenant's rows stay as they are",
  { timeout: 60_000 },
  async () => {
    const [own, other] = [await newTeam(), await newTeam()];
    const read = () =>
      (env as Env).DB.prepare(
        "select a.name, t.name as tenant, k.digest from agents a, tenants t, agent_keys k where a.id = ? and t.id = ? and k.agent_id = a.id",
      )
        .bind(other.agentId, other.tenantId)
        .all();
    const before = (await read()).results;
    let answered = 0;
    await fc.assert(
      fc.asyncProperty(change, async (text) => {
        const rows = await rowsOf(text, own, other);
        if (rows === null) return;
        answered++;
        expect(JSON.stringify(rows), text).not.toContain(other.tenantId);
      }),
      { numRuns: 10_000, seed: 73 },
    );
    expect(answered).toBeGreaterThan(20);
    expect((await read()).results).toEqual(before);
    expect(before).toHaveLength(1);
  },
);

test("the guard reads any text without failing otherwise than by refusing", { timeout: 60_000 }, () => {
  const noise = fc.oneof(
    fc.string({ unit: "binary" }),
    condition,
    fc.array(fc.constantFrom(...WORDS)).map((all) => all.join(" ")),
  );
  fc.assert(
    fc.property(noise, (text) => {
      try {
        pinsOf(text);
      } catch (error) {
        expect(error).toBeInstanceOf(Refused);
      }
    }),
    { numRuns: 3_000, seed: 73 },
  );
});
