import { eq } from "drizzle-orm";
import type { Database } from "../base/database.ts";
import type { MemberId, SessionId, TenantId } from "../base/ids.ts";
import { unauthorized } from "../base/bearer.ts";
import type { Sessions } from "./sessions.ts";
import { sessions as table } from "./tables.ts";

interface Person {
  readonly tenantId: TenantId;
  readonly memberId: MemberId;
  /** Of the identity provider that vouches for them; null where none does. */
  readonly issuer: string | null;
}

interface Continued {
  /** How the person came in: a session that the identity provider began stays its own, and ends with it. */
  readonly method: "oidc" | "passkey";
  readonly replaces: SessionId | null;
  /** Milliseconds since 1970. */
  readonly notAfter: number;
}

/**
 * What of a browser's session goes on when a person shows anew who they are: it is replaced, if it is theirs. Whom an
 * identity provider vouches for comes in through it alone: a passkey makes their session fresh, and neither begins one
 * nor keeps it for longer, so that who is let go there is out here. Throws UNAUTHORIZED for such a person without one.
 */
export async function heldSession(
  db: Database,
  sessions: Sessions,
  { tenantId, memberId, issuer }: Person,
  cookies: string | null,
): Promise<Continued> {
  const token = sessions.cookie.read(cookies);
  const held = token === null ? null : await sessions.authenticate(token);
  const isTheirs = held !== null && held.tenantId === tenantId && held.memberId === memberId;
  const replaces = isTheirs ? held.signIn.sessionId : null;
  if (issuer === null) return { method: "passkey", replaces, notAfter: Number.MAX_SAFE_INTEGER };
  const [row] =
    replaces === null
      ? []
      : await db
          .of(tenantId)
          .select({ expiresAt: table.expiresAt })
          .from(table)
          .where(eq(table.id, replaces));
  if (row === undefined) throw unauthorized();
  return { method: "oidc", replaces, notAfter: row.expiresAt };
}
