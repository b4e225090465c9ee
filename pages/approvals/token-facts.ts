import type { Approval } from "./api.ts";
import { chip, code, el, list, rows, said, section } from "./elements.ts";
import { memberRows } from "./fields.ts";
import { span } from "./times.ts";
import { countOf } from "./words.ts";

/** What a token would be good for, and what it reaches. */
export function tokenFacts({ requested, reach, workload }: Approval): HTMLElement[] {
  if (requested === null) return [];
  const { rate, context } = requested;
  const said_ = memberRows(context);
  return [
    section(
      "What the token is for",
      rows([
        ["Scopes", list(requested.scopes.map(code))],
        ["Lives", span(requested.ttl_seconds)],
        ["Uses", requested.max_uses === null ? "unlimited" : String(requested.max_uses)],
        [
          "From",
          requested.ip_allowlist.length === 0 ? "any address" : list(requested.ip_allowlist.map(code)),
        ],
        ["At most", rate === null ? null : `${rate.count} calls in ${span(rate.windowSeconds)}`],
        ["Only", requested.allow === null ? null : list(requested.allow.map(ruleOf))],
        ["Tool", requested.tool === null ? null : said(requested.tool)],
        ["For the user", requested.user === null ? null : said(requested.user)],
        ["Bound to the key", requested.dpop_jkt === null ? null : code(requested.dpop_jkt)],
      ]),
      said_ === null ? null : el("div", {}, el("h3", {}, "What the agent says it is for"), said_),
    ),
    ...(reach === null ? [] : [reachFacts(reach)]),
    ...(workload === null
      ? []
      : [
          section(
            "The workload that asks",
            rows([
              ["Issuer", code(workload.issuer)],
              ["Subject", code(workload.subject)],
              ["Rule of trust", code(workload.trust_rule)],
            ]),
            memberRows(workload.claims),
          ),
        ]),
  ];
}

function ruleOf(rule: NonNullable<NonNullable<Approval["requested"]>["allow"]>[number]): HTMLElement {
  const { connection, methods, paths } = rule;
  return code(`${methods?.join(", ") ?? "any method"} ${paths?.join(", ") ?? "any path"} of ${connection}`);
}

function reachFacts({ secrets, shown, connections }: NonNullable<Approval["reach"]>): HTMLElement {
  const count = secrets === null ? "more than can be counted" : countOf(secrets, "secret");
  const paths = shown.map(({ path, tier }) => el("span", {}, code(path), " ", chip(tier, tier)));
  const rest = secrets === null || secrets > shown.length ? ["and others"] : [];
  return section(
    "What it reaches above the standard tier",
    rows([
      ["In all", count],
      ["Secrets", list([...paths, ...rest])],
      ["Through connections", list(connections.map(code))],
    ]),
  );
}
