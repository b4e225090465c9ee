import type { Message } from "../message.ts";
import { escapeAngles } from "./channel.ts";

/** A message as it is mailed. */
export interface Mail {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/** Values are one line each and escaped; the subject is of words of ours alone, so no header can be made of it. */
export function mailOf({ title, fields, link }: Message): Mail {
  const rows = fields.map(
    ({ label, value }) =>
      `<tr><td style="padding:2px 12px 2px 0;color:#555">${escapeHtml(label)}</td><td><code>${escapeHtml(value)}</code></td></tr>`,
  );
  const lines = fields.map(({ label, value }) => `${label}: ${value}`);
  const note = "You will be asked to sign in: this link alone decides nothing.";
  return {
    subject: `Valetkey: ${title}`,
    text: [title, "", ...lines, ...(link === null ? [] : ["", `${link.label}: ${link.url}`, note])].join(
      "\n",
    ),
    html: [
      `<!doctype html><html><body style="font-family:sans-serif"><h2>${escapeHtml(title)}</h2><table>`,
      ...rows,
      "</table>",
      ...(link === null
        ? []
        : [`<p><a href="${escapeHtml(link.url)}">${escapeHtml(link.label)}</a></p><p>${note}</p>`]),
      "</body></html>",
    ].join("\n"),
  };
}

function escapeHtml(text: string): string {
  return escapeAngles(text).replaceAll('"', "&quot;").replaceAll("'", "&#39;");
}
