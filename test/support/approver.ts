import { randomUUID } from "node:crypto";
import { startIssuer } from "./identity-provider.ts";
import type { ApiAnswer, ApiClient, TestTenant } from "./tenant.ts";

const CLIENT = "valetkey";

/** A person of a tenant, who has signed in just now, each time. */
export interface Approver {
  readonly memberId: string;
  call(...asked: Parameters<ApiClient["call"]>): Promise<ApiAnswer>;
  approve(approvalId: string): Promise<void>;
  deny(approvalId: string, reason: string): Promise<void>;
}

/** A tenant's people, by an OpenID provider of their own: credentials for scripts approve nothing. */
export async function startPeople(tenant: TestTenant) {
  const issuer = await startIssuer();
  issuer.serve([{ id: CLIENT }]);
  await tenant.admin.must("POST", "/v1/identity-providers", {
    ...{ kind: "oidc", name: "people", issuer: issuer.issuer, client_id: CLIENT },
  });
  return {
    stop: () => issuer.stop(),
    /** Invited by `by`; who is let in by a credential for scripts beside another admin does not count for a day. */
    async person(role: "admin" | "editor", by: Pick<ApiClient, "call"> = tenant.admin): Promise<Approver> {
      const sub = randomUUID();
      const email = `${sub}@example.com`;
      const invited = await by.call("POST", "/v1/members", { body: { email, role } });
      if (invited.status !== 201) throw new Error(`inviting answered ${invited.status}`);
      const call: Approver["call"] = async (...asked) => {
        const now = Math.floor(Date.now() / 1_000);
        const claims = {
          sub,
          email,
          email_verified: true,
          aud: CLIENT,
          exp: now + 3_600,
          auth_time: now - 1,
        };
        return tenant.as(await issuer.sign(claims)).call(...asked);
      };
      const answer = async (id: string, how: string, body: object): Promise<void> => {
        const { status, body: told } = await call("POST", `/v1/approvals/${id}/${how}`, { body });
        if (status !== 200) throw new Error(`${how} answered ${status} ${JSON.stringify(told)}`);
      };
      return {
        memberId: invited.body.id,
        call,
        approve: (id) => answer(id, "approve", {}),
        deny: (id, reason) => answer(id, "deny", { reason }),
      };
    },
  };
}

/** A change of the tenant's configuration, effective everywhere once this resolves. */
export async function changed(
  client: Pick<ApiClient, "call">,
  method: string,
  path: string,
  body?: unknown,
  // oxlint-disable-next-line typescript/no-explicit-any -- what comes over the wire has no type; tests say what it is.
): Promise<any> {
  const answer = await client.call(method, path, {
    ...(body === undefined ? {} : { body }),
    headers: { prefer: "wait=10" },
  });
  if (answer.status < 300) return answer.body;
  throw new Error(`${method} ${path} answered ${answer.status} ${JSON.stringify(answer.body)}`);
}
