import type { Mutation } from "./mutation.ts";

const ENFORCE = "src/permissions/enforce.ts";
const FIELDS = "src/permissions/read-field.ts";
const SETTLE = "src/permissions/settle.ts";
const NARROW = "src/permissions/narrow.ts";
const PERMISSIONS = "src/permissions/permissions.ts";
const CALLS = ["test/worker/permissions/enforcement.test.ts"];
const ORACLE = ["test/worker/permissions/enforce.property.test.ts"];
const TOTALS = ["test/worker/permissions/totals.test.ts"];
const OUTSIDE = ["test/worker/permissions/outside.test.ts"];
const BOUND = ["test/worker/permissions/bound.test.ts"];
const REQUESTS = ["test/worker/api/permissions.test.ts"];

/** What was permitted is what is done: no other call, no other amount, no second time. */
export const PERMITTED: readonly Mutation[] = [
  {
    attack: 75,
    what: "a permission's calls go through its connection",
    file: ENFORCE,
    find: "calls.connection === slug && calls.methods.includes(view.method)",
    replace: "calls.methods.includes(view.method)",
    tests: ORACLE,
  },
  {
    attack: 75,
    what: "a permission's calls have its method",
    file: ENFORCE,
    find: "calls.connection === slug && calls.methods.includes(view.method)",
    replace: "calls.connection === slug",
    tests: ORACLE,
  },
  {
    attack: 75,
    what: "a number in JSON is a number, a text in quotes is none",
    file: ENFORCE,
    find: ': typeof each === "number" && millionthsOfNumber(each);',
    replace: ": millionthsOf(String(each));",
    tests: CALLS,
  },
  {
    attack: 75,
    what: "an amount is at most what was permitted",
    file: ENFORCE,
    find: "if (amount > max) return",
    replace: "if (amount < 0) return",
    tests: CALLS,
  },
  {
    attack: 75,
    what: "a field that is bound and missing refuses the call",
    file: ENFORCE,
    find: "return optional === true ? 0 :",
    replace: "return optional !== undefined || optional === undefined ? 0 :",
    tests: CALLS,
  },
  {
    attack: 75,
    what: "a bound field of the body does not stand in the query as well",
    file: FIELDS,
    find: "return this.#elsewhere(this.#named(this.#view.query), binding) ?? this.#body(binding);",
    replace: "return this.#body(binding);",
    also: [
      {
        file: "src/gateway/strict-places.ts",
        find: 'ambiguous("body", "has a name that stands in the query as well");',
        replace: "",
      },
    ],
    tests: CALLS,
  },
  {
    attack: 75,
    what: "a bound field does not stand there under another spelling of its name",
    file: FIELDS,
    find: "return stray ?? new Walk(binding.segments, this.#looks).from(body.value);",
    replace: "return (stray && null) ?? new Walk(binding.segments, this.#looks).from(body.value);",
    tests: ORACLE,
  },
  {
    attack: 75,
    what: "nor does one within another",
    file: FIELDS,
    find: 'if (keys.some((key) => key !== segment && squash(key) === plain)) return "stands there under two names";',
    replace: "void plain;",
    tests: CALLS,
  },
  {
    attack: 75,
    what: "an expression matches the whole text",
    file: "src/permissions/whole-pattern.ts",
    find: "return `\\\\A(?:${pattern})\\\\z`;",
    replace: "return pattern;",
    tests: ORACLE,
  },
  {
    attack: 75,
    what: "fields that are not listed refuse the call",
    file: ENFORCE,
    find: "if (outermost.every((field) => listed.includes(field))) return 0;",
    replace: "if (outermost.length >= 0) return 0;",
    tests: CALLS,
  },
  {
    attack: 75,
    what: "a constraint holds for further fields wherever they are given",
    file: SETTLE,
    find: "...also.map((other) => (",
    replace: "...also.slice(also.length).map((other) => (",
    tests: CALLS,
  },
  {
    attack: 75,
    what: "an approver grants no more than was asked for",
    file: NARROW,
    find: 'if (kind !== "pattern" && !isWithin(kind, value, asked)) {',
    replace: 'if (kind === "only_fields") {',
    tests: REQUESTS,
  },
  {
    attack: 75,
    what: "an approver grants no longer life than was asked for",
    file: NARROW,
    find: "if (ttl !== undefined && ttl > shown.ttl_seconds)",
    replace: "if (ttl === null)",
    tests: REQUESTS,
  },
  {
    attack: 75,
    what: "the token of a permission is bound to it",
    file: "src/tokens/insert-token.ts",
    find: "ground.epoch, json(permission)],",
    replace: "ground.epoch, json(null)],",
    tests: CALLS,
  },
  {
    attack: 75,
    what: "a permission opens no WebSocket",
    file: ENFORCE,
    find: 'if (view.headers["upgrade"] !== undefined) {',
    replace: 'if (view.headers["upgrade"] === "never") {',
    tests: CALLS,
  },
  {
    attack: 88,
    what: "fields are looked through up to a bound",
    file: FIELDS,
    find: "this.#looks.left -= keys.length;",
    replace: "this.#looks.left -= 0;",
    tests: ["test/worker/permissions/bounds.test.ts"],
  },
  {
    attack: 88,
    what: "texts are matched up to a bound",
    file: "src/permissions/whole-pattern.ts",
    find: "characters * whole.size <= MAX_STEPS &&",
    replace: "characters >= 0 &&",
    tests: ["test/worker/permissions/bounds.test.ts"],
  },
  {
    attack: 88,
    what: "a pattern is a pattern by itself, not only in parentheses",
    file: "src/permissions/whole-pattern.ts",
    find: 'if (typeof alone === "string") return alone;',
    replace: "void alone;",
    tests: ["test/worker/api/permissions-actions.test.ts"],
  },
  {
    attack: 58,
    what: "a permission that was asked for with a proof is bound to that key, whoever collects it",
    file: PERMISSIONS,
    find: "context: tokenContextOf(row.context), jkt: row.asked.jkt ?? null },",
    replace: "context: tokenContextOf(row.context), jkt: null },",
    tests: BOUND,
  },
  {
    attack: 58,
    what: "a use outside of the gateway proves the token's key",
    file: "src/permissions/uses.ts",
    find: "const verdict = await this.#parts.proofs.check(presented, grant.jkt);",
    replace: "const verdict = await this.#parts.proofs.check(presented, null);",
    tests: BOUND,
  },
  {
    attack: 58,
    what: "a proof is spent with the use that it came with",
    file: "src/permissions/uses.ts",
    find: "const verdict = await admission.charge(grant, proof === null ? charge : { ...charge, proof });",
    replace: "const verdict = await admission.charge(grant, proof === null ? charge : { ...charge });",
    tests: BOUND,
  },
  {
    attack: 63,
    what: "a permission is handed out to whoever marks it first",
    file: "src/permissions/permission-rows.ts",
    find: "uncollected ? isNull(permissions.collectedAt) : undefined,",
    replace: "undefined,",
    also: [
      {
        // The token's id was drawn before: a second one of the same id cannot be written.
        file: PERMISSIONS,
        find: "...{ tokenId: row.tokenId, scopes:",
        replace: "...{ tokenId: newTokenId(row.tenantId), scopes:",
      },
    ],
    tests: REQUESTS,
  },
  {
    attack: 63,
    what: "a sum is charged with the call",
    file: "src/gateway/admit.ts",
    find: "...(tallies.length === 0 ? null : { tallies }),",
    replace: "",
    tests: TOTALS,
  },
  {
    attack: 63,
    what: "a sum is charged with a use outside of the gateway",
    file: "src/permissions/uses.ts",
    find: "event, tallies: tallies ?? [] };",
    replace: "event, tallies: tallies?.slice(tallies.length) ?? [] };",
    tests: OUTSIDE,
  },
  {
    attack: 79,
    what: "what people approved is void where what it rests on has changed",
    file: PERMISSIONS,
    find: "if (need === null || digestOf(row, need) !== row.digest) {",
    replace: "if (need === null) {",
    tests: REQUESTS,
  },
  {
    attack: 82,
    what: "people see what an agent would hide in what it says",
    file: "src/permissions/permission-faces.ts",
    find: 'if (typeof value === "string") return visibleText(value, MAX_TEXT);',
    replace: 'if (typeof value === "string") return value;',
    tests: REQUESTS,
  },
];
