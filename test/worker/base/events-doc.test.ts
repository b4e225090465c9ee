/// <reference types="vite/types/importMeta.d.ts" />
import { expect, test } from "vitest";
import { EVENT_TYPES } from "../../../src/audit/event.ts";

const [text = ""] = Object.values(
  import.meta.glob<string>("../../../docs/audit.md", { query: "?raw", import: "default", eager: true }),
);

/** Every `resource.action` that some Markdown names; `.action` behind one is of the same resource. */
function typesIn(markdown: string): string[] {
  let resource = "";
  return [...markdown.matchAll(/`([a-z_]*)\.([a-z_]+)`/g)].map(([, named, action]) => {
    if (named !== "") resource = named ?? "";
    return `${resource}.${action}`;
  });
}

test("docs/audit.md tells of every type of event, and of no other", () => {
  const [, section = ""] = /\n## Events\n([^]*?)\n### /.exec(text) ?? [];
  const rows = section
    .split("\n")
    .flatMap((line) => (line.startsWith("| `") ? [line.split(" | ")[0] ?? ""] : []));
  const [, unwritten = ""] = /nothing writes yet: (.*)/.exec(section) ?? [];
  const told = [...rows, unwritten].flatMap(typesIn);
  expect(told.toSorted()).toEqual([...EVENT_TYPES].toSorted());
});
