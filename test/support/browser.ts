import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

/** Where a Chromium is: Debian's, or what CHROMIUM names. Null: tests of pages are skipped, for want of a browser. */
export const CHROMIUM =
  [process.env["CHROMIUM"], "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
    (path) => path !== undefined && existsSync(path),
  ) ?? null;

/** What the title of a skipped test says. */
export const NO_BROWSER =
  CHROMIUM === null ? " (skipped: no Chromium here; install it, or name it in CHROMIUM)" : "";

/** A headless Chromium that asks nobody but the page it is given. */
export function launchBrowser(): Promise<Browser> {
  if (CHROMIUM === null) throw new Error("There is no Chromium here.");
  return chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-background-networking"],
  });
}
