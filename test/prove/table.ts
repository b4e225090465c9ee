import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { ROOT } from "./tree.ts";
import type { Verdict } from "./prove.ts";

const DOCUMENT = path.join(ROOT, "docs/threat-model.md");
const BEGIN = "<!-- prove:begin -->";
const END = "<!-- prove:end -->";

const COLUMNS = ["attack", "defence", "mutation", "test that caught it"] as const;

function short(text: string, most: number): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}

function row({ attack, mutation, caughtBy, trouble }: Verdict): readonly [string, string, string, string] {
  const change = `${short(mutation.find, 60)} → ${short(mutation.replace, 40) || "nothing"}`;
  const test =
    caughtBy === null ? (trouble ?? "none: it survived") : `${caughtBy.file}: ${short(caughtBy.title, 120)}`;
  return [String(attack), mutation.what, `${mutation.file}: ${change}`, test];
}

function sorted(verdicts: readonly Verdict[]): readonly Verdict[] {
  return verdicts.toSorted((a, b) => a.attack - b.attack);
}

/** For a terminal: a block of lines per verdict. */
export function renderText(verdicts: readonly Verdict[]): string {
  return sorted(verdicts)
    .map(row)
    .map(([attack, defence, change, test]) =>
      [`${attack.padStart(3)}  ${defence}`, `     ${change}`, `     ${test}`].join("\n"),
    )
    .join("\n");
}

/** The highest number of the list of attacks. */
const LAST_ATTACK = 97;

/** Which attacks have no defence here that could be taken out, or none yet. */
function unproven(verdicts: readonly Verdict[]): string {
  const proven = new Set(verdicts.map(({ attack }) => attack));
  const numbers = Array.from({ length: LAST_ATTACK }, (_number, index) => index + 1);
  return numbers.filter((number) => !proven.has(number)).join(", ");
}

export function renderMarkdown(verdicts: readonly Verdict[]): string {
  const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
  // Two backticks around a span let it hold one.
  const code = (text: string): string => `\`\` ${text.replaceAll("|", "\\|")} \`\``;
  const lines = sorted(verdicts)
    .map(row)
    .map(
      ([attack, defence, change, test]) =>
        `| ${attack} | ${cell(defence)} | ${code(change)} | ${cell(test)} |`,
    );
  const table = [`| ${COLUMNS.join(" | ")} |`, "| --- | --- | --- | --- |", ...lines].join("\n");
  const mutations = new Set(verdicts.map(({ mutation }) => mutation)).size;
  const run = `The last full run, on ${new Date().toISOString().slice(0, 10)}: ${mutations} mutations, all caught.`;
  return `${run}\n\n${table}\n\nNot proven so: ${unproven(verdicts)}.`;
}

/** Puts the table between its markers in the threat model. */
export function writeDocument(verdicts: readonly Verdict[]): void {
  const text = readFileSync(DOCUMENT, "utf8");
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin === -1 || end < begin) throw new Error(`docs/threat-model.md has no ${BEGIN} … ${END}`);
  const table = `${BEGIN}\n\n${renderMarkdown(verdicts)}\n\n`;
  writeFileSync(DOCUMENT, text.slice(0, begin) + table + text.slice(end));
}
