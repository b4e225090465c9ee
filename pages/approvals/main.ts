// What runs in the browser on /approvals and /approvals/{id}. `node local/pages.ts` bundles it into
// src/api/pages/approvals-client.js.gz, which is what the Worker serves.
import { type Approval, Refusal } from "./api.ts";
import { el, section, view } from "./elements.ts";
import { watch } from "./feed.ts";
import { loadList, updateList } from "./list.ts";
import { me, recognise, signInUrl } from "./person.ts";
import { loadRequest, updateRequest } from "./request.ts";
import { tick } from "./times.ts";

const id = /^\/approvals\/([^/]+)$/.exec(location.pathname)?.[1] ?? null;
const load = (): Promise<void> => (id === null ? loadList() : loadRequest(id, () => void refresh()));

/** Refusals that stay: whoever gets one may not see this, or there is nothing. */
const LASTING: ReadonlySet<string | null> = new Set(["UNAUTHORIZED", "ROLE_DENIED", "NOT_FOUND"]);
const ASK_AGAIN_MS = 60_000;

let isShown = false;
/** Of a lasting refusal; null: there was none. Milliseconds since 1970. */
let refusedAt: number | null = null;

/** Shows it anew; where that is refused, the refusal instead of what cannot be seen any more. */
async function refresh(): Promise<void> {
  if (refusedAt !== null && Date.now() - refusedAt < ASK_AGAIN_MS) return;
  try {
    await load();
    isShown = true;
    refusedAt = null;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (LASTING.has(error.code)) refusedAt = Date.now();
    // What cannot be reached for a moment stays as it was.
    if (LASTING.has(error.code) || !isShown) refuse(error);
  } finally {
    view.removeAttribute("aria-busy");
  }
}

/** What has happened to one, as the feed tells it. */
function told(approval: Approval): void {
  if (refusedAt !== null) return;
  if (id === null) void updateList(approval);
  else updateRequest(id, approval);
}

function refuse({ message, code }: Refusal): void {
  if (code === "UNAUTHORIZED" && me() === null) return location.replace(signInUrl());
  const next = code === "UNAUTHORIZED" ? el("a", { class: "button", href: signInUrl() }, "Sign in") : null;
  view.replaceChildren(
    section(
      code === "UNAUTHORIZED" ? "You are signed out" : "This cannot be shown",
      el("p", { class: "alert", role: "alert" }, message),
      next === null ? null : el("p", { class: "buttons" }, next),
    ),
  );
}

async function start(): Promise<void> {
  try {
    await recognise();
  } catch (error) {
    view.removeAttribute("aria-busy");
    if (error instanceof Refusal) return refuse(error);
    throw error;
  }
  await refresh();
  watch(told, refresh);
  setInterval(() => {
    // The gateway says what time has done: a moment later, so that it has.
    if (tick()) setTimeout(() => void refresh(), 1_000);
  }, 1_000);
}

void start();
