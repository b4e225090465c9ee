import type { z } from "zod";
import type {
  approvalDetailSchema,
  approvalListSchema,
  approvalSchema,
} from "../../src/approvals/responses.ts";

export type Approval = z.output<typeof approvalSchema>;
export type ApprovalDetail = z.output<typeof approvalDetailSchema>;
export type ApprovalList = z.output<typeof approvalListSchema>;

/** Why the gateway did not do it, in its own words, for the person. */
export class Refusal extends Error {
  /** The API's code, null where nothing of the gateway's came back. */
  readonly code: string | null;

  constructor(message: string, code: string | null) {
    super(message);
    this.code = code;
  }
}

let skewMs = 0;

/** The gateway's time, by what its last answer said of it; else this device's. Milliseconds since 1970. */
export function now(): number {
  return Date.now() + skewMs;
}

/** One call of the API, with the person's session. Throws Refusal. */
export async function ask<Answer>(method: "GET" | "POST", path: string, body?: unknown): Promise<Answer> {
  const { answer, text } = await fetch(path, {
    method,
    credentials: "same-origin",
    headers: { accept: "application/json", "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
    // The answer can break off in the middle, too.
    .then(async (each) => ({ answer: each, text: await each.text() }))
    .catch(() => {
      throw new Refusal("The gateway cannot be reached.", null);
    });
  const date = Date.parse(answer.headers.get("date") ?? "");
  // Whole seconds, and on the way for a while: less than that is no difference.
  if (Math.abs(date - Date.now()) > 2_000) skewMs = date - Date.now();
  const told = parse(text);
  if (answer.ok) return told as Answer;
  const { detail, why, error } = (told ?? {}) as {
    readonly detail?: string;
    readonly why?: string;
    readonly error?: { readonly code?: string };
  };
  const words = [detail, why].filter((part) => part !== undefined).join(" ");
  throw new Refusal(words === "" ? `The gateway answered ${answer.status}.` : words, error?.code ?? null);
}

function parse(text: string): unknown {
  try {
    return text === "" ? {} : JSON.parse(text);
  } catch {
    return null;
  }
}
