// What runs in the browser on /auth and /auth/enrol. `node local/pages.ts` bundles it into sign-in-client.js.gz, which is
// what the Worker serves. It has no types: the Worker's own know no document.
import { browserSupportsWebAuthn, startAuthentication, startRegistration } from "@simplewebauthn/browser";

/** @type {(id: string) => any} */
const byId = (id) => document.getElementById(id);
const status = byId("status");
const code = byId("code");
const device = byId("device");

/** @param {string} text @param {"busy" | "done" | "failed"} kind */
function say(text, kind) {
  status.textContent = text;
  status.dataset.kind = kind;
}

/** Throws an Error whose message is for the person. @param {string} method @param {string} path @param {unknown} [body] */
async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    credentials: "same-origin",
    headers: { accept: "application/json", "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  const told = text === "" ? {} : JSON.parse(text);
  if (answer.ok) return told;
  throw Object.assign(new Error([told.detail, told.why].filter(Boolean).join(" ")), {
    code: told.error?.code,
  });
}

/** A page of this gateway's to go on to, null where none was named. */
function next() {
  const named = new URLSearchParams(location.search).get("return_to");
  if (named === null || !named.startsWith("/")) return null;
  const url = new URL(named, location.origin);
  return url.origin === location.origin && !/^\/(?:auth|proxy)(?:\/|$)/.test(url.pathname) ? url.href : null;
}

async function showWhoIAm() {
  const options = await call("POST", "/auth/passkeys/sign-in/options", {});
  const answer = await startAuthentication({ optionsJSON: options });
  await call("POST", "/auth/passkeys/sign-in/verify", answer);
}

async function signIn() {
  await showWhoIAm();
  const url = next();
  if (url !== null) location.assign(url);
  await show();
  say("You are signed in.", "done");
}

async function enrol() {
  const given = code.value.trim();
  const options = await call("POST", "/auth/enrolment/options", { code: given });
  const credential = await startRegistration({ optionsJSON: options });
  await call("POST", "/auth/enrolment/verify", { code: given, name: device.value, credential });
  // Spent: nobody finds it in the address, the history or the field.
  history.replaceState(null, "", "/auth");
  code.value = "";
  await show();
  say("This device is registered, and you are signed in.", "done");
}

async function add() {
  const name = byId("another").value;
  const ask = () => call("POST", "/auth/passkeys/registration/options", {});
  const options = await ask().catch(async (error) => {
    if (error.code !== "STEP_UP_REQUIRED") throw error;
    await showWhoIAm();
    return ask();
  });
  const credential = await startRegistration({ optionsJSON: options });
  await call("POST", "/auth/passkeys/registration/verify", { name, credential });
  byId("another").value = "";
  await show();
  say("The passkey is registered.", "done");
}

async function signOut() {
  await call("POST", "/auth/sign-out", {});
  await show();
  say("You are signed out.", "done");
  byId("sign-in").focus();
}

/** Which tenant the person of this device belongs to, where they have signed in by an identity provider: "" if unknown. */
function rememberedTenant() {
  try {
    return localStorage.getItem("tenant") ?? "";
  } catch {
    return "";
  }
}

async function signInByIssuer() {
  const query = new URLSearchParams({ tenant: byId("of").value.trim() });
  const url = next();
  query.set("return_to", url === null ? "/approvals" : url.slice(location.origin.length));
  location.assign(`/auth/sign-in?${query}`);
}

/** @param {{ name: string, created_at: string, last_used_at: string | null, backed_up: boolean }} passkey */
function row(passkey) {
  const item = document.createElement("li");
  const name = document.createElement("strong");
  name.textContent = passkey.name;
  const used =
    passkey.last_used_at === null ? "not used yet" : `last used ${passkey.last_used_at.slice(0, 10)}`;
  item.append(name, ` ${used}${passkey.backed_up ? ", backed up" : ""}`);
  return item;
}

/** Shows what there is to do: signed in, or not. */
async function show() {
  const me = await call("GET", "/v1/me").catch((error) => {
    if (error.code === "UNAUTHORIZED") return null;
    throw error;
  });
  const enrols = location.pathname === "/auth/enrol";
  byId("person").hidden = me === null || enrols;
  byId("nobody").hidden = me !== null && !enrols;
  if (me === null) return;
  byId("name").textContent = me.name;
  byId("role").textContent = me.role;
  byId("tenant").textContent = me.tenant_id;
  const url = next();
  byId("next").hidden = url === null;
  if (url !== null) byId("next").firstElementChild.href = url;
  const { passkeys } = await call("GET", "/v1/passkeys");
  byId("passkeys").replaceChildren(...passkeys.map(row));
}

/** @param {() => Promise<void>} work @param {HTMLElement} element @param {string} event */
function on(element, event, work) {
  element.addEventListener(event, async (happened) => {
    happened.preventDefault();
    say("One moment…", "busy");
    document.body.toggleAttribute("data-busy", true);
    try {
      await work();
    } catch (error) {
      const cancelled = error instanceof Error && error.name === "NotAllowedError";
      say(
        cancelled ? "Nothing was done: it was cancelled, or took too long." : String(error.message ?? error),
        "failed",
      );
    } finally {
      document.body.toggleAttribute("data-busy", false);
    }
  });
}

on(byId("sign-in"), "click", signIn);
on(byId("sign-out"), "click", signOut);
on(byId("enrol"), "submit", enrol);
on(byId("issuer"), "submit", signInByIssuer);
on(byId("add"), "submit", add);

if (location.hash.startsWith("#vke_")) code.value = location.hash.slice(1);
if (location.pathname === "/auth/enrol") {
  byId("register").open = true;
  (code.value === "" ? code : device).focus();
}
byId("of").value = rememberedTenant();
byId("organisation").open = byId("of").value !== "";
if (!browserSupportsWebAuthn()) say("This browser has no passkeys. Use another one.", "failed");
show().catch((error) => say(String(error.message ?? error), "failed"));
