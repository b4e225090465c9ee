import fc from "fast-check";
import { expect, test } from "vitest";
import { newId } from "../../../src/base/ids.ts";
import { enforce } from "../../../src/permissions/enforce.ts";
import type { BodyView, RequestView } from "../../../src/policies/request-view.ts";
import type { BoundConstraint, GrantedPermission } from "../../../src/tokens/permission.ts";

/**
 * `enforce` against an oracle that looks at the generated call itself, not at what can be read of it: the generator knows
 * what it put where. A call that the oracle calls good must pass; any other must not.
 */

const FIELDS = ["amount", "customer", "note"] as const;

interface Made {
  readonly amount: unknown;
  readonly customer: unknown;
  readonly note: unknown;
  /** A second name for one of them, in the body or the query; null: none. */
  readonly twin: { readonly name: string; readonly inQuery: boolean } | null;
  readonly asForm: boolean;
  readonly method: string;
  readonly path: string;
  readonly slug: string;
}

const amounts = fc.oneof(
  fc.integer({ min: 0, max: 200 }),
  fc.integer({ min: 0, max: 200_000_000 }).map((millionths) => millionths / 1_000_000),
  fc.constantFrom(-1, -0.5, 1e21, 1e-7, Number.MAX_SAFE_INTEGER, 100.0000001),
  fc.constantFrom(
    "100",
    "1e2",
    "100.0",
    "0100",
    "-1",
    " 5",
    "5 ",
    "",
    "NaN",
    "abc",
    "99.999999",
    "9007199254.8",
  ),
  fc.constantFrom(null, true, [], [5], { value: 5 }),
);
const customers = fc.constantFrom<unknown>(
  "cus_1",
  "cus_2",
  "cus_3",
  "CUS_1",
  "cus_1 ",
  "",
  ["cus_1"],
  null,
  7,
  "7",
  {},
);
const notes = fc.constantFrom<unknown>(
  "Invoice #1",
  "Invoice #12",
  "Invoice #",
  "x Invoice #1",
  "Invoice #1\n",
  "Invoice #1x",
  1,
  null,
  ["Invoice #1"],
);
const twins = fc.record({
  name: fc.constantFrom(
    "Amount",
    "amount[]",
    "a-mount",
    "amount.x",
    "CUSTOMER",
    "customer[id]",
    "note ",
    "other",
    "amounts",
  ),
  inQuery: fc.boolean(),
});

/** Mostly what is good: a call with everything wrong shows little. */
const mostly = <T>(good: fc.Arbitrary<T>, other: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 4, arbitrary: good }, { weight: 1, arbitrary: other });

const calls: fc.Arbitrary<Made> = fc.record({
  amount: mostly<unknown>(fc.constantFrom(0, 5, 99.5, 100, "5", "100.00"), amounts),
  customer: mostly<unknown>(fc.constantFrom("cus_1", "cus_2"), customers),
  note: mostly<unknown>(fc.constant("Invoice #12"), notes),
  twin: mostly<Made["twin"]>(fc.constant(null), twins),
  asForm: fc.boolean(),
  method: mostly(fc.constant("POST"), fc.constant("PUT")),
  path: mostly(fc.constant("/v1/refunds"), fc.constantFrom("/v1/refunds/x", "/v1/refunds/")),
  slug: mostly(fc.constant("stripe"), fc.constant("other")),
});

interface Granted {
  readonly max: number;
  readonly total: boolean;
  readonly customers: readonly string[];
}

const grants: fc.Arbitrary<Granted> = fc.record({
  max: fc.constantFrom(0, 5, 99.999999, 100, 150),
  total: fc.boolean(),
  customers: fc.constantFrom(["cus_1"], ["cus_1", "cus_2"], ["7"]),
});

function permissionOf({ max, total, customers }: Granted): GrantedPermission {
  const constraints: BoundConstraint[] = [
    { name: "amount", kind: total ? "max_total" : "max_amount", field: "body.amount", value: max },
    { name: "recipients", kind: "one_of", field: "body.customer", value: customers },
    { name: "subject", kind: "pattern", field: "body.note", value: String.raw`Invoice #\d+` },
  ];
  return {
    ...{ permissionId: newId("permission"), action: "a", resource: null, constraints },
    calls: { connection: "stripe", methods: ["POST"], paths: ["/v1/refunds"] },
    agreed: { approvals: 1, delaySeconds: 0 },
  };
}

function viewOf(call: Made): RequestView {
  const members = Object.fromEntries(FIELDS.map((name) => [name, call[name]]));
  const extra =
    call.twin === null ? {} : { [call.twin.name]: call.asForm || call.twin.inQuery ? "cus_9" : 10_000 };
  const inBody = call.twin === null || call.twin.inQuery ? members : { ...members, ...extra };
  const texts = Object.entries(inBody).filter(
    ([, value]) => typeof value === "string" || Array.isArray(value),
  );
  const body: BodyView = call.asForm
    ? { kind: "form", value: Object.fromEntries(texts) }
    : { kind: "json", value: JSON.parse(JSON.stringify(inBody)) as unknown };
  return {
    ...{ method: call.method, path: call.path, host: "api.example.com", headers: {}, size: 10, body },
    query: call.twin?.inQuery ? { [call.twin.name]: "cus_9" } : {},
  };
}

/** Whole millionths as a decimal text has them, by big integers; null for what is no plain decimal. */
function exactly(text: string): bigint | null {
  if (!/^(0|[1-9]\d*)(\.\d{1,6})?$/.test(text)) return null;
  const [whole = "", rest = ""] = text.split(".");
  return BigInt(whole) * 1_000_000n + BigInt(rest.padEnd(6, "0"));
}

function isGood(call: Made, granted: Granted): boolean {
  if (call.slug !== "stripe" || call.method !== "POST" || call.path !== "/v1/refunds") return false;
  // All of these can be taken for a bound field but the last two.
  if (call.twin !== null && call.twin.name !== "other" && call.twin.name !== "amounts") return false;
  const { amount, customer, note } = call;
  const text = call.asForm ? amount : typeof amount === "number" ? String(amount) : null;
  if (typeof text !== "string") return false;
  const value = exactly(text);
  const max = exactly(String(granted.max)) ?? -1n;
  if (value === null || value > max) return false;
  const named =
    call.asForm || typeof customer === "string"
      ? customer
      : typeof customer === "number"
        ? `${customer}`
        : null;
  if (typeof named !== "string" || !granted.customers.includes(named)) return false;
  return note === "Invoice #1" || note === "Invoice #12";
}

test("attack 75: enforce lets a call pass if, and only if, it is within what was permitted", () => {
  let passed = 0;
  fc.assert(
    fc.property(calls, grants, (call, granted) => {
      const verdict = enforce(permissionOf(granted), viewOf(call), call.slug);
      const good = isGood(call, granted);
      expect(verdict.kind, JSON.stringify({ call, granted, verdict })).toBe(good ? "ok" : "deny");
      if (verdict.kind === "ok") passed += 1;
    }),
    {
      numRuns: 5_000,
      seed: 20261122,
      examples: [
        [plain(100), GRANTED],
        [plain("100.00", true), GRANTED],
      ],
    },
  );
  expect(passed).toBeGreaterThan(100);
});

const GRANTED: Granted = { max: 100, total: true, customers: ["cus_1"] };

function plain(amount: unknown, asForm = false): Made {
  return {
    ...{ amount, customer: "cus_1", note: "Invoice #1", twin: null, asForm },
    ...{ method: "POST", path: "/v1/refunds", slug: "stripe" },
  };
}

test("what is summed is the amount in millionths, exactly", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100_000_000 }), (millionths) => {
      const verdict = enforce(permissionOf(GRANTED), viewOf(plain(millionths / 1_000_000)), "stripe");
      expect(verdict).toEqual({
        kind: "ok",
        tallies: [{ key: "amount", amount: millionths, max: 100_000_000 }],
      });
    }),
    { numRuns: 2_000, seed: 20261122 },
  );
});

test("what cannot be read is refused, whatever is in it", () => {
  const bodies: BodyView[] = [
    { kind: "none" },
    { kind: "unread" },
    { kind: "unreadable", why: "is compressed" },
    { kind: "json", value: null },
    { kind: "json", value: "x" },
    { kind: "json", value: [] },
  ];
  for (const body of bodies) {
    expect(enforce(permissionOf(GRANTED), { ...viewOf(plain(1)), body }, "stripe").kind).toBe("deny");
  }
});
