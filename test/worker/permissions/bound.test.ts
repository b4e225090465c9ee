import { beforeAll, describe, expect, test } from "vitest";
import { type Answer, send } from "../api/door.ts";
import { ProofKey } from "../support/dpop.ts";
import { ORIGIN } from "../support/tenant.ts";
import { CALL, json, type Office, openOffice, REFUND, WANTED } from "./fixtures.ts";

const TRANSFER = {
  name: "payment.transfer",
  calls: null,
  constraints: { max_amount: { kind: "max_amount", field: "details.amount" } },
};
const ASKED = `http://localhost/v1/permissions`;

let at: Office;
let key: ProofKey;
let thief: ProofKey;
beforeAll(async () => {
  at = await openOffice([REFUND, TRANSFER]);
  [key, thief] = [await ProofKey.make(), await ProofKey.make()];
});

let unique = 0;
const wanted = (over: object = {}) => ({ ...WANTED, context: { n: unique++ }, ...over });

async function ask(body: object, proof: string | null): Promise<Answer> {
  const headers = proof === null ? {} : { dpop: proof };
  return send("POST", "/v1/permissions", { credential: at.agent.api_key, body, headers });
}

/** The permission of a request that proved `key`, collected without a proof. */
async function granted(body: object): Promise<Answer["body"]> {
  const asked = await ask(body, await key.proof("POST", ASKED));
  expect([asked.status, asked.body.dpop_jkt]).toEqual([202, key.thumbprint]);
  await at.approve(asked.body.approval_id);
  const { body: collected } = await at.look(asked.body.id);
  expect(collected).toMatchObject({ token: expect.stringMatching(/^vkt_/), dpop_jkt: key.thumbprint });
  return collected;
}

describe("a permission that was asked for with a proof of a key", () => {
  test("attack 58: gets a token that is no use without that key", async () => {
    const { token } = await granted(wanted());
    const url = `${ORIGIN}/proxy/up/v1/refunds`;
    const refund = async (authorization: string, proof: string | null) => {
      const { headers, ...call } = json(CALL);
      const sent = { ...headers, authorization, ...(proof === null ? {} : { dpop: proof }) };
      return at.make(token, "up/v1/refunds", { ...call, headers: sent as Record<string, string> });
    };
    expect((await at.refund(token)).status).toBe(401);
    expect((await refund(`DPoP ${token}`, null)).status).toBe(401);
    expect((await refund(`DPoP ${token}`, await thief.proof("POST", url, token))).status).toBe(401);
    const proof = await key.proof("POST", url, token);
    expect((await refund(`DPoP ${token}`, proof)).arrived?.body).toBe(JSON.stringify(CALL));
  });

  test("shows people the key, and is another request than one without it, or with another", async () => {
    const body = wanted();
    const bound = await ask(body, await key.proof("POST", ASKED));
    const same = await ask(body, await key.proof("POST", ASKED));
    const bare = await ask(body, null);
    const other = await ask(body, await thief.proof("POST", ASKED));
    expect(same.body.id).toBe(bound.body.id);
    expect(new Set([bound, bare, other].map((each) => each.body.id)).size).toBe(3);
    expect(bare.body.dpop_jkt).toBeNull();
    const { headers } = at.editor;
    const shown = await send("GET", `/v1/approvals/${bound.body.approval_id}`, { headers });
    expect(shown.body.permission.dpop_jkt).toBe(key.thumbprint);
  });

  test("is not asked for with a proof that is none", async () => {
    for (const proof of ["x.y.z", await key.proof("GET", ASKED), await key.proof("POST", `${ASKED}/x`)]) {
      const refused = await ask(wanted(), proof);
      expect([refused.status, refused.body.error.code]).toEqual([400, "VALIDATION_ERROR"]);
    }
  });

  test("attack 58: is used outside of the gateway with a proof of that key for its token, each good once", async () => {
    const { id, token } = await granted({
      ...{ action: "payment.transfer", scope: { max_amount: 5 }, context: { n: unique++ } },
    });
    const url = `${ASKED}/${id}/use`;
    const use = (proof: string | null, amount = 5) =>
      send("POST", `/v1/permissions/${id}/use`, {
        ...{ credential: at.agent.api_key, body: { token, details: { amount } } },
        headers: proof === null ? {} : { dpop: proof },
      });
    const bad = [
      null,
      await thief.proof("POST", url, token),
      await key.proof("POST", url),
      await key.proof("POST", url, "vkt_another"),
      await key.proof("POST", ASKED, token),
    ];
    for (const proof of bad) {
      const refused = await use(proof);
      expect([refused.status, refused.body.error.code]).toEqual([401, "UNAUTHORIZED"]);
    }
    const used = await use(await key.proof("POST", url, token));
    expect([used.status, used.body]).toEqual([200, { id, status: "used", uses_left: 0 }]);
  });

  test("attack 58: a proof with which it was used once is not good for another use", async () => {
    await at.made("PATCH", "/v1/actions/payment.transfer", { max_uses: 5 });
    const { id, token } = await granted({
      ...{ action: "payment.transfer", scope: { max_amount: 5 }, max_uses: 5, context: { n: unique++ } },
    });
    const proof = await key.proof("POST", `${ASKED}/${id}/use`, token);
    const use = (): Promise<Answer> =>
      send("POST", `/v1/permissions/${id}/use`, {
        ...{
          credential: at.agent.api_key,
          body: { token, details: { amount: 1 } },
          headers: { dpop: proof },
        },
      });
    const all = await Promise.all([use(), use(), use()]);
    expect(all.map(({ status }) => status).toSorted()).toEqual([200, 401, 401]);
  });
});

describe("what people are shown of a permission", () => {
  test("is described member by member, and so is what they grant of it", async () => {
    const { body } = await send("GET", "/v1/openapi.json");
    const { schemas } = body.components;
    const { permission, granted: less } = schemas.Approval.properties;
    const named = (schema: { anyOf: { $ref?: string }[] }) =>
      schema.anyOf.map(({ $ref }) => $ref?.split("/").at(-1));
    expect(named(permission)).toContain("ApprovalOfPermission");
    expect(named(less)).toContain("GrantedLess");
    const asked = await ask(wanted(), null);
    const narrowed = { granted: { scope: { max_amount: 50 }, ttl: "1m" } };
    const { body: approved } = await at.approve(asked.body.approval_id, narrowed);
    const own = (name: string) => Object.keys(schemas[name].properties);
    expect(own("ApprovalOfPermission")).toEqual(expect.arrayContaining(Object.keys(approved.permission)));
    expect(schemas.ApprovalOfPermission.additionalProperties).toBe(false);
    expect(approved.granted).toEqual({ scope: { max_amount: 50 }, ttl_seconds: 60 });
    expect(own("GrantedLess")).toEqual(["scope", "ttl_seconds", "max_uses"]);
  });
});
