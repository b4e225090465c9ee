import type { Context } from "hono";
import { type Endpoint, takesIdempotencyKey } from "../base/endpoint.ts";
import { Problem } from "../base/problem.ts";
import { MAX_JSON_BYTES, readBody } from "../base/request.ts";
import type { Caller } from "../identity/caller.ts";
import type { KeptAnswer } from "../identity/idempotency/keys.ts";
import { presentedCredential } from "../base/bearer.ts";
import type { OwnCookie } from "../identity/session-cookie.ts";
import type { ApiEnv } from "./context.ts";

/** Headers of an answer that its repeats have, too. */
const KEPT_HEADERS = ["content-type", "x-valetkey-effective-at", "preference-applied"];
/** A row has its limits. Every answer of a write is far below. */
const MAX_ANSWER_CHARACTERS = 500_000;

/** A request that is done once, however often it comes; null where nothing asks for that. */
export interface Once {
  /** The request again, its body at hand. */
  readonly request: Request;
  /** Does it, or answers as it was answered the first time. */
  run(work: () => Promise<Response>): Promise<Response>;
}

/**
 * Whether a request is to be done once: a write of somebody who is known, with an `Idempotency-Key` of 1 to 255 visible
 * ASCII characters. Throws VALIDATION_ERROR for any other key.
 */
export async function onceOf(
  endpoint: Endpoint,
  c: Context<ApiEnv>,
  caller: Caller | null,
): Promise<Once | null> {
  const { raw } = c.req;
  const key = raw.headers.get("idempotency-key");
  if (key === null || caller === null || !takesIdempotencyKey(endpoint)) return null;
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw new Problem("VALIDATION_ERROR", "`Idempotency-Key` must be 1 to 255 visible ASCII characters.");
  }
  const body = endpoint.body === undefined ? new Uint8Array() : await readBody(raw, MAX_JSON_BYTES);
  const { pathname, search } = new URL(raw.url);
  const { idempotencyKeys, sessions } = c.get("services");
  const { headers, method } = raw;
  const sent = {
    tenantId: caller.tenantId,
    actor: caller.kind === "token" ? `token:${caller.grant.tokenId}` : caller.actor,
    credential: credentialOf(headers, caller, sessions.cookie),
    operation: endpoint.operationId,
    key,
    method,
    target: pathname + search,
    body,
  };
  return {
    request: endpoint.body === undefined ? raw : new Request(raw.url, { method, headers, body }),
    async run(work) {
      const turn = await idempotencyKeys.begin(sent);
      if (turn.kind === "repeat") {
        // Nothing is charged, which would have spent what a bound token has proven (attack 58).
        await c.get("auth").spendProof();
        return repeated(turn.answer);
      }
      let response: Response;
      try {
        response = await work();
      } catch (error) {
        const isRefusal =
          error instanceof Problem && (error.status < 500 || error.options.nothingDone === true);
        await quietly(isRefusal ? turn.refused() : turn.lost());
        throw error;
      }
      // Waits for a person, and will be asked again until it is another answer.
      if (response.status === 202) {
        await quietly(turn.refused());
        return response;
      }
      const { status } = response;
      const text = await response.text();
      const kept = KEPT_HEADERS.flatMap((name) => {
        const value = response.headers.get(name);
        return value === null ? [] : [[name, value] as const];
      });
      const answer: KeptAnswer = { status, headers: kept, body: text };
      await quietly(text.length > MAX_ANSWER_CHARACTERS ? turn.lost() : turn.done(answer));
      return new Response(text === "" ? null : text, { status, headers: response.headers });
    },
  };
}

/** What the caller was known by: never nothing, or the deployment's own keys would open what is kept. */
function credentialOf(headers: Headers, caller: Caller, session: OwnCookie): string {
  const isByAccess = caller.kind === "member" && caller.signIn?.method === "cloudflare_access";
  const shown = isByAccess
    ? headers.get("cf-access-jwt-assertion")
    : (presentedCredential(headers.get("authorization"))?.credential ?? session.read(headers.get("cookie")));
  if (!shown) throw new Error("a caller is known by nothing");
  return shown;
}

function repeated({ status, headers, body }: KeptAnswer): Response {
  return new Response(body === "" ? null : body, {
    status,
    headers: [
      ...headers.map(([name, value]): [string, string] => [name, value]),
      ["idempotency-replayed", "true"],
    ],
  });
}

/** The request is done or refused whatever becomes of its record, which then says nothing of it: unknown. */
async function quietly(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch {
    console.error(JSON.stringify({ at: "idempotency-keys", error: "the outcome was not recorded" }));
  }
}
