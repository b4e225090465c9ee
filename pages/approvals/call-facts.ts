import type { ShownCall } from "../../src/approvals/shown-schema.ts";
import { el, list, rows, section, shown } from "./elements.ts";
import { cutNote, fieldRows, folded, pickedFields } from "./fields.ts";
import { countOf } from "./words.ts";

/** What would be sent, whole: what matters first, then all of it. Everything in `call` is visible text already. */
export function callFacts(call: ShownCall): HTMLElement[] {
  const { method, scheme, host, path, query, headers, purpose, secrets } = call;
  const secretPaths = secrets.map(({ path: at, version }) =>
    el("code", {}, shown(`${at} (version ${version})`)),
  );
  return [
    section(
      "What would be sent",
      pickedFields(call.picked),
      el("p", { class: "url" }, el("b", {}, method), el("code", {}, shown(`${scheme}://${host}${path}`))),
      part("Query", fieldRows(query)),
      query.cut === null ? null : cutNote(query.cut),
      ...bodyParts(call.body),
      query.text === ""
        ? null
        : folded("The query as it is sent", el("pre", { tabindex: "0" }, shown(query.text))),
      headers.fields.length === 0
        ? null
        : folded(countOf(headers.fields.length + headers.more, "header"), fieldRows(headers)),
    ),
    section(
      "Through",
      rows([
        ["Connection", shown(call.connection)],
        ["Provider", call.provider],
        ["Secrets it uses", list(secretPaths)],
      ]),
      part("What the agent says it is for", fieldRows(purpose)),
    ),
  ];
}

function part(heading: string, content: HTMLElement | null): HTMLElement | null {
  return content === null ? null : el("div", {}, el("h3", {}, heading), content);
}

function bodyParts(body: ShownCall["body"]): (HTMLElement | null)[] {
  if (body.kind === "none") return [el("p", { class: "quiet" }, "It has no body.")];
  const about = rows([
    ["Media type", body.type === null ? "none given" : shown(body.type)],
    ["Size", countOf(body.bytes, "byte")],
    ["SHA-256", el("code", { class: "hash" }, body.sha256)],
  ]);
  if (body.kind === "binary") {
    const head = rows([["First bytes", el("code", {}, body.head)]]);
    return [part("Body: no text", el("div", {}, about, head))];
  }
  return [
    part("Body", fieldRows(body)),
    folded(
      "The body as it is sent",
      el("pre", { tabindex: "0" }, shown(body.text)),
      body.cut === null ? null : cutNote(body.cut),
      about,
    ),
  ];
}
