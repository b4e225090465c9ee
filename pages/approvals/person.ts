import { browserSupportsWebAuthn, startAuthentication } from "@simplewebauthn/browser";
import { ask, Refusal } from "./api.ts";
import { el, said, who } from "./elements.ts";

export interface Person {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly tenant_id: string;
  readonly sign_in: { readonly method: string; readonly authenticated_at: string | null } | null;
}

const here = (): string => encodeURIComponent(location.pathname);

/** Where one signs in, and comes back from to this page. */
export const signInUrl = (): string => `/auth?return_to=${here()}`;

let current: Person | null = null;

/** Who is signed in, as of the last answer. */
export function me(): Person | null {
  return current;
}

/** Asks who is signed in. Throws Refusal: UNAUTHORIZED where nobody is. */
export async function recognise(): Promise<Person> {
  current = await ask<Person>("GET", "/v1/me");
  who.replaceChildren(said(`${current.name}, ${current.role}`));
  who.hidden = false;
  remember(current);
  return current;
}

/** `/auth` offers it on this device from then on: without a session, nobody else knows which tenant one belongs to. */
function remember({ sign_in, tenant_id }: Person): void {
  try {
    if (sign_in?.method === "oidc") localStorage.setItem("tenant", tenant_id);
  } catch {
    // A browser that keeps nothing asks for it.
  }
}

/** A person who has to show anew who they are, and cannot here: `next` leads to where they can. */
export class SignInAgain extends Error {
  readonly next: HTMLElement;

  constructor(message: string, next: HTMLElement) {
    super(message);
    this.next = next;
  }
}

/**
 * Does what may take a fresh sign-in: where it does, the person shows who they are by passkey, and it is done again.
 * Throws SignInAgain where that is not possible, and what `work` throws.
 */
export async function fresh<Answer>(work: () => Promise<Answer>, prompt: () => void): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== "STEP_UP_REQUIRED") throw error;
    if (!(await hasPasskey())) throw signInAgain();
  }
  prompt();
  await showWhoIAm();
  return work();
}

async function hasPasskey(): Promise<boolean> {
  if (!browserSupportsWebAuthn()) return false;
  const { passkeys } = await ask<{ readonly passkeys: readonly unknown[] }>("GET", "/v1/passkeys");
  return passkeys.length > 0;
}

async function showWhoIAm(): Promise<void> {
  const before = current?.id;
  try {
    const optionsJSON = await ask<Parameters<typeof startAuthentication>[0]["optionsJSON"]>(
      ...(["POST", "/auth/passkeys/sign-in/options", {}] as const),
    );
    await ask("POST", "/auth/passkeys/sign-in/verify", await startAuthentication({ optionsJSON }));
  } catch (error) {
    if (error instanceof Refusal && error.code !== "UNAUTHORIZED") throw error;
    throw signInAgain("Nothing was done: the passkey was not used, or not taken.");
  }
  const after = await recognise();
  if (after.id === before) return;
  throw new Refusal(
    `You are ${after.name} now. Nothing was done: look again, then answer as who you are.`,
    null,
  );
}

function signInAgain(message = "This takes a sign-in of the last 5 minutes."): SignInAgain {
  return new SignInAgain(message, signInLink());
}

/** Back from there, nothing is done by itself: the person looks, and answers. */
export function signInLink(): HTMLElement {
  const byIssuer = current?.sign_in?.method === "oidc";
  const href = byIssuer ? `/auth/sign-in?fresh=1&return_to=${here()}` : signInUrl();
  return el("a", { href }, "Sign in again");
}

/** Whether the last sign-in is too old to approve, as far as this page can know. `at`: milliseconds since 1970. */
export function isStale({ sign_in }: Person, at: number): boolean {
  const shown = Date.parse(sign_in?.authenticated_at ?? "");
  return !(at - shown < FRESH_MS);
}

/** As the API's step-up, less what looking at a request takes. */
const FRESH_MS = 4.5 * 60_000;
