import { env } from "cloudflare:workers";
import { openDatabase } from "../../../src/base/database.ts";
import { newId, type TenantId } from "../../../src/base/ids.ts";
import type { Grant } from "../../../src/tokens/grant.ts";
import { tokens } from "../../../src/tokens/tables.ts";
import { type Answer, send } from "../api/door.ts";
import { call, CALLER_IP } from "./tenant.ts";

const SCOPES = ["connections:call:up"];

/** `POST /v1/tokens/child` with a token, from the address that `call` comes from. */
export function askForChild(token: string, body: object = {}): Promise<Answer> {
  const headers = { "cf-connecting-ip": CALLER_IP };
  return send("POST", "/v1/tokens/child", { credential: token, headers, body: { scopes: SCOPES, ...body } });
}

/** A child for calls through the connection `up`, unless it says otherwise. */
export async function mint(token: string, body: object = {}): Promise<string> {
  const answer = await askForChild(token, body);
  if (answer.status !== 201) throw new Error(`no child: ${answer.body.error?.code} ${answer.body.detail}`);
  return answer.body.token;
}

/** The status of a call through `up`. */
export async function callStatus(token: string, bindings: Env = env as Env): Promise<number> {
  const { response } = await call("/proxy/up/v1/x", token, {}, bindings);
  await response.text();
  return response.status;
}

/** How often each status came of so many calls at the same time. */
export async function statuses(tokens: readonly string[], each: number): Promise<Record<number, number>[]> {
  return Promise.all(
    tokens.map(async (token) => {
      const counted: Record<number, number> = {};
      const answers = await Promise.all(Array.from({ length: each }, () => callStatus(token)));
      for (const status of answers) counted[status] = (counted[status] ?? 0) + 1;
      return counted;
    }),
  );
}

/** Puts children of a root into the index that nobody holds. */
export async function addChildren(tenantId: TenantId, root: Grant, count: number): Promise<void> {
  const db = openDatabase(env as Env).of(tenantId);
  const { tokenId: rootId, agentId, scopes, ipAllowlist, context, epoch, issuedAt, expiresAt } = root;
  const row = { agentId, scopes, ipAllowlist, context, epoch, issuedAt, expiresAt, rootId, parentId: rootId };
  for (let at = 0; at < count; at++) await db.insert(tokens).values({ ...row, id: newId("token") });
}
