import type { ScopeValue } from "../../src/permissions/constraint-values.ts";
import type { Approval } from "./api.ts";
import { code, el, list, rows, said, section } from "./elements.ts";
import { memberRows } from "./fields.ts";
import { span } from "./times.ts";

/** What a permission would allow, as the gateway would hold each call against it. */
export function permissionFacts({ permission }: Approval): HTMLElement[] {
  if (permission === null) return [];
  const { calls, constraints, scope, context } = permission;
  const reasons = memberRows(context);
  return [
    section(
      "What it may do",
      permission.description === null ? null : el("p", {}, said(permission.description)),
      rows(
        [
          ["Action", code(permission.action)],
          ["On", permission.resource === null ? null : code(permission.resource)],
          ...Object.entries(scope).map(([name, value]) => [said(wordsOf(name)), scopeValue(value)] as const),
          ["Uses", String(permission.max_uses)],
          ["Within", span(permission.ttl_seconds)],
        ],
        "picked",
      ),
      rows([
        ["Bound to the key", permission.dpop_jkt === null ? null : code(permission.dpop_jkt)],
        ["Template", permission.template === null ? null : code(permission.template)],
        ["Connection", calls === null ? "none: it is used outside of the gateway" : code(calls.connection)],
        [
          "Calls",
          calls === null
            ? null
            : list(calls.paths.map((path) => code(`${calls.methods.join(", ")} ${path}`))),
        ],
        ["Held to", list(constraints.map(constraintOf))],
        ["Less than was asked for", list(permission.narrowed_fields.map((name) => said(wordsOf(name))))],
      ]),
      reasons === null ? null : el("div", {}, el("h3", {}, "What the agent says of it"), reasons),
    ),
  ];
}

/** What is granted instead, where somebody has granted less. */
export function grantedFacts({ granted }: Approval): HTMLElement | null {
  if (granted === null) return null;
  const { scope = {}, ttl_seconds, max_uses } = granted;
  return section(
    "Granted for less",
    rows(
      [
        ...Object.entries(scope).map(([name, value]) => [said(wordsOf(name)), scopeValue(value)] as const),
        ["Uses", max_uses === undefined ? null : String(max_uses)],
        ["Within", ttl_seconds === undefined ? null : span(ttl_seconds)],
      ],
      "picked",
    ),
  );
}

type Constraint = NonNullable<Approval["permission"]>["constraints"][number];

function constraintOf({ kind, field, value, optional }: Constraint): HTMLElement {
  const where = field === null ? "" : `${field}: `;
  return code(`${where}${wordsOf(kind)} ${textOf(value)}${optional === true ? " (or left out)" : ""}`);
}

function scopeValue(value: ScopeValue): HTMLElement | null {
  return typeof value === "object" ? list(value.map(code)) : code(String(value));
}

function textOf(value: ScopeValue): string {
  return typeof value === "object" ? value.join(", ") : String(value);
}

/** `max_amount` as `max amount`. */
export function wordsOf(name: string): string {
  return name.replaceAll("_", " ");
}
