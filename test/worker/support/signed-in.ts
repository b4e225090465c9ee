import { eq } from "drizzle-orm";
import { openDatabase } from "../../../src/base/database.ts";
import { newId, type MemberId, type TenantId } from "../../../src/base/ids.ts";
import type { Role } from "../../../src/identity/caller.ts";
import { members, sessions } from "../../../src/identity/tables.ts";
import { createServices } from "../../../src/services.ts";
import { bindings } from "../api/door.ts";

export interface SignedIn {
  readonly memberId: MemberId;
  /** What a browser sends from a page of the gateway's own: for `send`'s `headers`. */
  readonly headers: { readonly cookie: string; readonly origin: string };
  /** The session is as if the person had signed in so long ago. */
  age(milliseconds: number): Promise<void>;
}

export interface SignInOptions {
  readonly method?: "oidc" | "passkey";
  /** Default: now. */
  readonly authenticatedAt?: number | null;
}

/** A new person of a tenant with a role, signed in just now. */
export async function signedIn(
  tenantId: TenantId,
  role: Role,
  { method = "oidc", authenticatedAt = Date.now() }: SignInOptions = {},
): Promise<SignedIn> {
  const db = openDatabase(bindings).of(tenantId);
  const memberId = newId("member");
  await db.insert(members).values({
    ...{
      id: memberId,
      digest: memberId,
      name: role,
      role,
      script: false,
      createdAt: Date.now(),
      joinedAt: Date.now(),
    },
    ...{ issuer: "https://issuer.example.com", subject: memberId },
  });
  const background: Promise<unknown>[] = [];
  const { sessions: own } = createServices(bindings, "localhost", (promise) => void background.push(promise));
  const started = await own.start({
    ...{ tenantId, memberId, method, authenticatedAt },
    request: { requestId: "req_test", ip: "192.0.2.1", userAgent: "test" },
  });
  // Its event has left the outbox: tests count rows.
  await Promise.all(background);
  return {
    memberId,
    headers: { cookie: `valetkey-session=${started.token.reveal()}`, origin: "http://localhost" },
    async age(milliseconds) {
      const [row] = await db.select().from(sessions).where(eq(sessions.id, started.id));
      if (row === undefined) throw new Error("the session has ended");
      await db
        .update(sessions)
        .set({
          authenticatedAt: row.authenticatedAt === null ? null : row.authenticatedAt - milliseconds,
          ...{ lastSeenAt: row.lastSeenAt - milliseconds, expiresAt: row.expiresAt - milliseconds },
        })
        .where(eq(sessions.id, started.id));
    },
  };
}
