import { stripVTControlCharacters, styleText } from "node:util";
import type { AuditRow, Demo } from "./demo.ts";

/** Colours only on a terminal that takes them (NO_COLOR and FORCE_COLOR are heeded). */
const bold = (text: string) => styleText("bold", text);
const dim = (text: string) => styleText("dim", text);
const green = (text: string) => styleText("green", text);
const yellow = (text: string) => styleText("yellow", text);

const pad = (text: string, width: number) =>
  text + " ".repeat(Math.max(0, width - stripVTControlCharacters(text).length));

/** A credential by its first and last characters. */
export function shorten(credential: string): string {
  return credential.length <= 24 ? credential : `${credential.slice(0, 14)}…${credential.slice(-4)}`;
}

/** The demo, for a reader: what went in, what arrived, what came back, what was written down. */
export function showDemo(demo: Demo, upstreamUrl: string): string {
  return [
    "",
    ...sideBySide(
      [bold("The agent sent"), ...demo.sent.map(shortenToken)],
      [bold(`The upstream received (${upstreamUrl})`), ...receivedLines(demo)],
    ),
    "",
    `  ${bold("The agent got back")} ${dim(`${demo.answer.status}, ${demo.answer.milliseconds.toFixed(0)} ms`)}`,
    ...prettyJson(demo.answer.body).map((line) => `  ${line.replaceAll(/\[redacted\]/gi, green)}`),
    "",
    `  ${bold("The trail")}`,
    ...table(demo.events).map((line) => `  ${line}`),
  ].join("\n");
}

function receivedLines({ received }: Demo): string[] {
  const lines = [`${received.method} ${received.url}`];
  for (let at = 0; at + 1 < received.rawHeaders.length; at += 2) {
    const [name = "", value = ""] = received.rawHeaders.slice(at, at + 2);
    const credential = /^bearer (.+)$/i.exec(value)?.[1];
    lines.push(
      `${name}: ${credential === undefined ? value : value.replace(credential, yellow(shorten(credential)))}`,
    );
  }
  return lines;
}

const shortenToken = (line: string) => line.replace(/vkt_\S+/, (token) => green(shorten(token)));

function sideBySide(left: string[], right: string[]): string[] {
  const width = Math.max(...left.map((line) => stripVTControlCharacters(line).length)) + 4;
  return Array.from(
    { length: Math.max(left.length, right.length) },
    (_, index) => `  ${pad(left[index] ?? "", width)}${right[index] ?? ""}`,
  );
}

function prettyJson(body: string): string[] {
  try {
    return JSON.stringify(JSON.parse(body), null, 2).split("\n");
  } catch {
    return body.split("\n");
  }
}

function table(events: AuditRow[]): string[] {
  const rows = events.map((event) => [
    event.timestamp.slice(11, 23),
    event.event_type,
    event.outcome,
    event.resource,
    event.actor,
    callOf(event),
  ]);
  const head = ["time (UTC)", "event", "outcome", "resource", "actor", "call"];
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: string[]) =>
    cells
      .map((cell, column) => pad(cell, widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return [dim(line(head)), ...rows.map(line)];
}

/** `GET /v1/hello 200 in 8 ms`, as far as the event tells. */
function callOf({ context }: AuditRow): string {
  const { method, path, status, duration_ms: duration } = context;
  const call = [method, path, status]
    .filter((part) => typeof part === "string" || typeof part === "number")
    .join(" ");
  return typeof duration === "number" ? `${call} in ${duration.toFixed(0)} ms` : call;
}

/** Commands to go on with, ready to paste. */
export function showCommands(options: { url: string; demoUrl: string; devFile: string; demo: Demo }): string {
  const { url, demoUrl, devFile, demo } = options;
  const command = (what: string, text: string) => [`  ${dim(`# ${what}`)}`, `  ${text}`];
  return [
    "",
    `  ${bold("Go on")}  ${dim(`admin token: ${devFile}`)}`,
    ...command(
      "call as the agent (the token is good for 4 more calls and 15 minutes)",
      `TOKEN=${demo.token}`,
    ),
    `  curl -s "${url}/proxy/demo/v1/hello?name=you" -H "Authorization: Bearer $TOKEN"`,
    ...command(
      "the same by a host of the connection's own, for SDKs that take no path",
      `curl -s "${demoUrl}/v1/hello" -H "Authorization: Bearer $TOKEN"`,
    ),
    ...command("read the trail", `ADMIN=$(sed -n 's/.*"admin_token": "\\([^"]*\\)".*/\\1/p' ${devFile})`),
    `  curl -s "${url}/v1/audit?limit=10" -H "Authorization: Bearer $ADMIN"`,
    ...command(
      "revoke the token: its next call is refused",
      `curl -s -X DELETE "${url}/v1/tokens/${demo.tokenId}" -H "Authorization: Bearer $ADMIN"`,
    ),
    "",
    `  ${dim("Ctrl-C ends it; everything is kept.")}`,
    "",
  ].join("\n");
}

export function showServing(url: string, startedInMs: number, applied: string[], stateDir: string): string {
  const migrations =
    applied.length === 0 ? "" : `, ${applied.length} migration${applied.length === 1 ? "" : "s"} applied`;
  return `\n  ${bold("Valetkey")} ${green(url)}  ${dim(`listening after ${startedInMs.toFixed(0)} ms${migrations}, state in ${stateDir}`)}`;
}
