import { setTimeout as sleep } from "node:timers/promises";
import { decodeBase62, encodeBase62 } from "../src/base/base62.ts";
import { checksum } from "../src/base/crc32.ts";
import { databaseOf } from "../test/attacks/database.ts";
import type { Gateway } from "../test/support/gateway.ts";
import { createTenant, type TestTenant } from "../test/support/tenant.ts";

/** One way to ask, as somebody would who wants to learn something from how long the answer takes. */
export interface Kind {
  readonly name: string;
  readonly target: string;
  readonly credential: string;
  /** What a difference in time would tell, and whom; left out where it is the family's. */
  readonly tells?: string;
}

/** Ways to ask that are answered alike: each is compared with the first, and the first with itself. */
export interface Family {
  readonly what: string;
  readonly kinds: readonly Kind[];
  /** What a difference in time would tell, and whom. */
  readonly tells: string;
  /** It would tell what exists to somebody who may not know: there must be none. */
  readonly mustNotDiffer: boolean;
}

/** Nothing is ever sent there: every question here is refused before. */
const NOWHERE = "http://127.0.0.1:9";

/** Makes two tenants in a fresh gateway, and everything that is asked about. */
export async function makeFamilies(gateway: Gateway): Promise<readonly Family[]> {
  const ours = await createTenant(gateway);
  await furnish(ours, "ours");
  const agent = await ours.agent();
  const key = await ours.admin.must("POST", `/v1/agents/${agent.id}/keys`);
  await ours.admin.must("DELETE", `/v1/agents/${agent.id}/keys/${key.id}`);

  // The bootstrap credential works once: a second tenant comes from forgetting that it did.
  await gateway.kill();
  const database = databaseOf(gateway.stateDir);
  database.exec("DELETE FROM bootstraps");
  database.close();
  await gateway.restart();
  const theirs = await createTenant(gateway);
  await furnish(theirs, "them");
  const theirAgent = await theirs.agent();
  const theirToken = await theirs.issue(["connections:call:*"]);

  const scopes = ["connections:call:*", "secrets:read:*"];
  const [good, known, unknown] = [
    await ours.issue(scopes),
    await ours.issue(scopes),
    await ours.issue(scopes),
  ];
  // Whoever asks with it makes the isolate remember what it grants.
  await fetch(`${gateway.url}/proxy/never`, { headers: { authorization: `Bearer ${known.token}` } });
  for (const { tokenId } of [known, unknown]) await ours.admin.must("DELETE", `/v1/tokens/${tokenId}`);
  const expired = await ours.token(scopes, { ttl: "1s" });
  await sleep(2_100);
  const narrow = await ours.token(["connections:call:mine-*", "secrets:read:mine/*"]);
  const wide = await ours.token(["connections:call:*", "secrets:read:*"]);

  const form = "what a token looks like, which is public";
  const tokens = (target: string): Kind[] => [
    { name: "bad tag", target, credential: forged(good.token) },
    { name: "junk", target, credential: "sk_live_51Habcdefghijklmnopqrstuvwxyz", tells: form },
    {
      name: "bad checksum",
      target,
      credential: `${good.token.slice(0, -1)}${good.token.endsWith("x") ? "y" : "x"}`,
      tells: form,
    },
    { name: "expired", target, credential: expired },
    { name: "revoked, at hand", target, credential: known.token },
    { name: "revoked, not at hand", target, credential: unknown.token },
  ];
  const pair = (credential: string, absent: string, existing: string): Kind[] => [
    { name: "not there", target: absent, credential },
    { name: "there", target: existing, credential },
  ];
  const existence = "what exists, to somebody who may not know";
  return [
    {
      what: "tokens, on a connection",
      kinds: tokens("/proxy/ours/x"),
      tells: "that the token was once good, to its holder",
      mustNotDiffer: false,
    },
    {
      what: "tokens, on a secret",
      kinds: tokens("/v1/secrets/ours/up/API_KEY"),
      tells: "that the token was once good, to its holder",
      mustNotDiffer: false,
    },
    {
      what: "agent keys, well-formed",
      kinds: [
        { name: "never issued", target: "/v1/tokens", credential: invented(agent.apiKey) },
        { name: "removed", target: "/v1/tokens", credential: key.api_key },
      ],
      tells: "that the key was once good, to its holder",
      mustNotDiffer: false,
    },
    {
      what: "connections outside one's scope",
      kinds: pair(narrow, "/proxy/they/x", "/proxy/ours/x"),
      tells: existence,
      mustNotDiffer: true,
    },
    {
      what: "secrets outside one's scope",
      kinds: pair(narrow, "/v1/secrets/ours/up/NOT_KEY", "/v1/secrets/ours/up/API_KEY"),
      tells: existence,
      mustNotDiffer: true,
    },
    {
      what: "another tenant's connection",
      kinds: pair(wide, "/proxy/they/x", "/proxy/them/x"),
      tells: existence,
      mustNotDiffer: true,
    },
    {
      what: "another tenant's secret",
      kinds: pair(ours.admin.credential, "/v1/secrets/they/up/API_KEY", "/v1/secrets/them/up/API_KEY"),
      tells: existence,
      mustNotDiffer: true,
    },
    {
      what: "another tenant's agent",
      kinds: pair(
        ours.admin.credential,
        `/v1/agents/${neverWas(theirAgent.id)}`,
        `/v1/agents/${theirAgent.id}`,
      ),
      tells: existence,
      mustNotDiffer: true,
    },
    {
      what: "another tenant's token",
      kinds: pair(
        ours.admin.credential,
        `/v1/tokens/${neverWas(theirToken.tokenId)}`,
        `/v1/tokens/${theirToken.tokenId}`,
      ),
      tells: existence,
      mustNotDiffer: true,
    },
  ];
}

async function furnish(tenant: TestTenant, slug: string): Promise<void> {
  const secret = `${slug}/up/API_KEY`;
  await tenant.putSecret(secret, `sk_bench_side_channels_${slug}`, { allowed_hosts: ["127.0.0.1:9"] });
  await tenant.connect(slug, { base_url: NOWHERE, credential: { kind: "bearer" }, secret });
}

/** Another token id under the same tag, with a checksum that is right. */
function forged(token: string): string {
  const payload = decodeBase62(token.slice("vkt_".length, -6));
  if (payload === null) throw new Error("not a token");
  payload.fill(7, 12, 24);
  const text = `vkt_${encodeBase62(payload)}`;
  return text + checksum(text);
}

/** A key of the right form, with the right checksum, that nobody was given. */
function invented(key: string): string {
  const text = `vka_${encodeBase62(crypto.getRandomValues(new Uint8Array(32)))}`;
  const credential = text + checksum(text);
  if (credential.length !== key.length) throw new Error("agent keys look different now");
  return credential;
}

function neverWas(id: string): string {
  return id.replace(/[0-9a-f]{24}$/, "0123456789abcdef01234567");
}
