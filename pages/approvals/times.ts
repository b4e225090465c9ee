import { now } from "./api.ts";
import { el } from "./elements.ts";

/** `58 min 05 s`, `1 h 00 min`, `3 s`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  const [days, hours, minutes, rest] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3_600) % 24,
    Math.floor(whole / 60) % 60,
    whole % 60,
  ];
  const two = (part: number, unit: string): string => `${String(part).padStart(2, "0")} ${unit}`;
  if (days > 0) return `${days} d ${two(hours, "h")}`;
  if (hours > 0) return `${hours} h ${two(minutes, "min")}`;
  return minutes > 0 ? `${minutes} min ${two(rest, "s")}` : `${rest} s`;
}

/** `15 min`, `1 h`: without what is zero. */
export function span(seconds: number): string {
  return duration(seconds).replace(/ 00 (?:s|min|h)$/, "");
}

/** A moment, in the reader's own time and language. */
export function moment(iso: string): HTMLElement {
  const text = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  return el("time", { datetime: iso }, text.format(new Date(iso)));
}

/** How long it is until then, kept current by `tick`. */
export function countdown(until: string): HTMLElement {
  const time = el("time", { datetime: until, "data-until": until, role: "timer" });
  write(time);
  return time;
}

/** Writes all countdowns anew; whether one of them has just come to its end. */
export function tick(): boolean {
  let isOver = false;
  for (const time of document.querySelectorAll<HTMLElement>("time[data-until]")) {
    if (time.dataset["over"] === undefined && write(time)) isOver = true;
  }
  return isOver;
}

function write(time: HTMLElement): boolean {
  const seconds = (Date.parse(time.dataset["until"] ?? "") - now()) / 1_000;
  time.textContent = duration(seconds);
  if (seconds > 0) return false;
  time.dataset["over"] = "";
  return true;
}
