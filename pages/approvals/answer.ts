import { type Approval, ask, now, Refusal } from "./api.ts";
import { el, say, section } from "./elements.ts";
import { narrowing } from "./narrow.ts";
import { fresh, isStale, me, SignInAgain, signInLink } from "./person.ts";
import { isDelayed } from "./words.ts";

type How = "approve" | "deny" | "cancel";

const DONE: Readonly<Record<How, string>> = {
  approve: "You have approved this.",
  deny: "Denied. The agent is told why.",
  cancel: "Cancelled.",
};

/** What can be done about a request as it stands; a request for which this is the same keeps its form. */
export function choicesOf(approval: Approval): string {
  const { status, granted } = approval;
  if (status !== "pending" && status !== "approved") return "";
  return [status, hasVoted(approval), isDelayed(approval), JSON.stringify(granted)].join();
}

function hasVoted({ votes }: Approval): boolean {
  return votes.some(({ member_id }) => member_id === me()?.id);
}

/**
 * The form by which a person answers; null where nothing is left to do. `answered`: the request as it is after an answer.
 * `refused`: it may be another than is shown.
 */
export function answerForm(
  approval: Approval,
  answered: (approval: Approval) => void,
  refused: () => void,
): HTMLElement | null {
  if (choicesOf(approval) === "") return null;
  const canApprove = approval.status === "pending" && !hasVoted(approval);
  const less = canApprove ? narrowing(approval) : null;
  const text = el("textarea", { id: "words", maxlength: "500", "aria-describedby": "words-hint" });
  const problem = el("p", { class: "alert" });
  const form = el("form", { novalidate: true });

  const bodyOf = (how: How): Readonly<Record<string, unknown>> | null => {
    const words = text.value.trim();
    const isMissing = how === "deny" && words === "";
    text.setAttribute("aria-invalid", String(isMissing));
    if (isMissing) {
      text.focus();
      throw new Refusal("Say why: the agent is told.", null);
    }
    if (how !== "approve") return words === "" ? {} : { reason: words };
    const wrong = less?.element.querySelector<HTMLInputElement>("input:invalid") ?? null;
    if (wrong !== null) {
      less?.element.setAttribute("open", "");
      wrong.focus();
      throw new Refusal(`${wrong.labels?.[0]?.textContent ?? ""}: ${wrong.validationMessage}`, null);
    }
    const granted = less?.read() ?? null;
    return { ...(words === "" ? {} : { comment: words }), ...(granted === null ? {} : { granted }) };
  };

  const send = async (how: How): Promise<void> => {
    problem.replaceChildren();
    say("One moment…");
    setBusy(form, true);
    try {
      const body = bodyOf(how);
      const post = () => ask<Approval>("POST", `/v1/approvals/${approval.id}/${how}`, body);
      const after = await fresh(post, () => say("Show that it is you: use your passkey."));
      say(DONE[how], "done");
      answered(after);
    } catch (error) {
      const told = error instanceof Error ? error : new Error(String(error));
      problem.replaceChildren(told.message, ...(told instanceof SignInAgain ? [" ", told.next] : []));
      say(told.message, "failed");
      if (told instanceof Refusal && told.code !== null) refused();
    } finally {
      setBusy(form, false);
    }
  };

  const button = (how: How, label: string, className: string): HTMLButtonElement => {
    const made = el("button", { type: "button", class: className }, label);
    made.addEventListener("click", () => void send(how));
    return made;
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    problem.replaceChildren();
    text.removeAttribute("aria-invalid");
  });
  const person = me();
  form.append(
    ...(less === null ? [] : [less.element]),
    el("label", { for: "words" }, canApprove ? "Reason or comment" : "Reason"),
    text,
    el("p", { id: "words-hint", class: "quiet" }, "To deny it takes a reason, which the agent is told."),
    problem,
    el(
      "div",
      { class: "buttons" },
      canApprove ? button("approve", "Approve", "") : null,
      button("deny", "Deny", "deny"),
      canApprove ? null : button("cancel", "Cancel", "second"),
    ),
  );
  if (canApprove && person !== null && isStale(person, now())) {
    form.append(el("p", { class: "hint" }, staleHint(person.sign_in?.method === "passkey")));
    if (person.sign_in?.method !== "passkey") form.lastElementChild?.append(" ", signInLink());
  }
  return section(headingOf(approval, canApprove), form);
}

function staleHint(byPasskey: boolean): string {
  return byPasskey
    ? "To approve, you are asked for your passkey again."
    : "To approve takes a sign-in of the last 5 minutes.";
}

function headingOf(approval: Approval, canApprove: boolean): string {
  if (canApprove) return "Your answer";
  return approval.status === "pending" ? "You have approved this" : "Stop it";
}

function setBusy(form: HTMLFormElement, isBusy: boolean): void {
  for (const button of form.querySelectorAll("button")) button.disabled = isBusy;
}
