import type { ApiAnswer } from "./tenant.ts";
import { randomHex, type Scheme, SCHEMES, TRUST_RULE, type TwoTenants } from "./two-tenants.ts";

// oxlint-disable-next-line typescript/no-explicit-any -- parts of an OpenAPI document.
type Json = any;

/** A place of an operation where a name stands that only one tenant has. */
interface Place {
  readonly where: "path" | "query" | "body";
  readonly name: string;
  /** An id's prefix; `path`, `namespace` or `slug`. */
  readonly kind: string;
}

/** An operation, one of its places that takes foreign names, and who asks. */
export interface Probe {
  readonly operationId: string;
  readonly method: string;
  readonly template: string;
  readonly place: Place;
  /** The path's other places. */
  readonly others: readonly Place[];
  readonly scheme: Scheme;
}

/** Operations where a name is nobody's, or everybody's: why they are not asked. */
export const NOT_ASKED: Readonly<Record<string, string>> = {
  beginSignIn: "Anyone's: a tenant's own sign-in page.",
  finishSignIn: "Anyone's: takes what the identity provider sent, and its own cookie.",
  exchangeToken: "Anyone's: takes an assertion of the agent's.",
  getProvider: "The catalogue is everybody's.",
  getApprovalPage: "Anyone's: the same page for all, which asks for what it shows.",
};

/** Operations where each tenant has its own names: a foreign one makes our own thing, and is asked last. */
export const MAKES_OUR_OWN: readonly string[] = ["putSecret", "putNamespace"];

/** What is answered where it is not 404, and why it tells nothing: it is the same for names that never were. */
export const OTHER_STATUS: Readonly<Record<string, number>> = {
  // Nothing of the kind is set, ended, revoked or listed.
  getNamespace: 200,
  listSessions: 200,
  listPermissions: 200,
  endSessions: 204,
  revokeTokens: 200,
  // A token that is none is refused, whatever it is shown for.
  usePermission: 401,
  // What no grant of the person's covers is refused whether it is there or not.
  revealSecret: 403,
};

/** Bodies that an operation takes; a place in the body is put in. */
const BODIES: Readonly<Record<string, object>> = {
  explainCall: { method: "GET", url: "/proxy/ours/x" },
  updateMember: { role: "viewer" },
  rotateMemberCredential: {},
  createEnrolment: {},
  updateIdentityProvider: { name: "ours now" },
  updateAgent: { description: "ours now" },
  createAgentKey: {},
  createTrustRule: TRUST_RULE,
  revokeTokens: {},
  putSecret: { value: "ours, whatever the name" },
  updateSecret: { tags: ["ours"] },
  restoreSecret: {},
  purgeSecret: {},
  rotateSecret: { new_value: "ours now, all of it" },
  rollBackSecret: { version: 1 },
  putNamespace: { tier_default: "standard" },
  approveRevealGrant: {},
  approve: {},
  deny: { reason: "not theirs" },
  cancelApproval: {},
  cancelOwnApproval: {},
  revealSecret: {},
  updateConnection: { default: "deny" },
  updateWebhook: { name: "ours now" },
  rotateWebhookSecret: {},
  updateAction: { description: "ours now" },
  verifyPermission: { token: "vkt_none" },
  usePermission: { token: "vkt_none" },
  createBudget: { name: "ours", measure: "calls", limit: 10, period: "day" },
  updateBudget: { name: "ours now" },
  updatePolicy: { message: "ours now" },
  rollBackPolicy: { version: 1 },
};

/** What stands in a body beside a foreign name: of ours. */
const BODY_PLACES: Readonly<Record<string, string>> = {
  restoreSecret: "ours/app/GONE",
  purgeSecret: "ours/app/GONE",
};

/**
 * Every place of the description's where a name of a tenant's stands, for everyone who may ask. Throws for one that
 * cannot be asked, so that no endpoint is forgotten.
 */
export function probesOf(document: Json): readonly Probe[] {
  const probes: Probe[] = [];
  for (const [template, methods] of Object.entries<Json>(document.paths)) {
    for (const [method, operation] of Object.entries<Json>(methods)) {
      const { operationId } = operation;
      const places = placesOf(document, template, operation);
      if (places.length === 0 || operationId in NOT_ASKED) continue;
      const schemes = SCHEMES.filter((one) => operation.security.some((named: Json) => one in named));
      if (schemes.length === 0) throw new Error(`nobody can ask ${operationId}: say why in NOT_ASKED`);
      if (operation.requestBody !== undefined && BODIES[operationId] === undefined) {
        throw new Error(`${operationId} needs a body in BODIES`);
      }
      for (const place of places) {
        const others = places.filter((one) => one !== place && one.where === "path");
        for (const scheme of schemes) {
          probes.push({ operationId, method: method.toUpperCase(), template, place, others, scheme });
        }
      }
    }
  }
  const isLast = ({ operationId }: Probe) => Number(MAKES_OUR_OWN.includes(operationId));
  return probes.toSorted((a, b) => isLast(a) - isLast(b));
}

function placesOf(document: Json, template: string, operation: Json): Place[] {
  const places: Place[] = [];
  for (const { name, in: where, schema, ...parameter } of operation.parameters ?? []) {
    const prefix = prefixOf(schema);
    if (prefix !== null && prefix !== "ten") places.push({ where, name, kind: prefix });
    else if (where !== "path") continue;
    else if (parameter["x-slashes"] || name === "slug" || name === "name") {
      places.push({ where, name, kind: name === "path" ? "path" : name });
    } else if (!(operation.operationId in NOT_ASKED)) {
      throw new Error(`${template}: what ${name} names is not known`);
    }
  }
  const bodies = Object.values<Json>(operation.requestBody?.content ?? {});
  for (const [name, kind] of bodies.flatMap(({ schema }) => idsIn(document, schema))) {
    places.push({ where: "body", name, kind });
  }
  return places;
}

/** Of an id's pattern. */
function prefixOf(schema: Json): string | null {
  return /^\^([a-z]+)_(?:\(|\[0-9a-f\])/.exec(schema?.pattern ?? "")?.[1] ?? null;
}

/** Members that are ids, `outer.inner` at any depth; those of lists cannot be asked. */
function idsIn(document: Json, schema: Json, within = ""): [name: string, kind: string][] {
  if (schema.$ref !== undefined) {
    const parts: string[] = schema.$ref.split("/").slice(1);
    return idsIn(
      document,
      parts.reduce((part: Json, name) => part[name], document),
      within,
    );
  }
  const either: Json[] = schema.anyOf ?? schema.oneOf ?? schema.allOf ?? [];
  const found = either.flatMap((part) => idsIn(document, part, within));
  for (const [name, part] of Object.entries<Json>(schema.properties ?? {})) {
    const prefix = prefixOf(part);
    if (prefix !== null) found.push([`${within}${name}`, prefix]);
    else found.push(...idsIn(document, part, `${within}${name}.`));
  }
  if (schema.items === undefined) return found;
  const listed = idsIn(document, schema.items, within);
  if (listed.length > 0) throw new Error(`ids in a list of a body: ${listed.join(", ")}`);
  return found;
}

/** What asking so many names of a place told. */
export interface Outcome {
  readonly probe: Probe;
  readonly asked: number;
  /** How many of them are the other tenant's. */
  readonly theirs: number;
  readonly status: number;
  /** Answers that differ from the one to a name that never was. */
  readonly told: readonly string[];
}

/** What of an outcome should not be: an answer that tells something, or a status that nobody decided. */
export function faultsOf({ probe, status, told }: Outcome): readonly string[] {
  const { operationId, place, scheme } = probe;
  const isDecided = MAKES_OUR_OWN.includes(operationId) || status === (OTHER_STATUS[operationId] ?? 404);
  const what = `${operationId}, ${place.name}, as ${scheme}`;
  return [...told, ...(isDecided ? [] : [`answered ${status}`])].map((fault) => `${what}: ${fault}`);
}

const AT_ONCE = 8;

/** Asks for `count` names, half of them the other tenant's and half of them like those, and one that never was. */
export async function ask(tenants: TwoTenants, probe: Probe, count: number): Promise<Outcome> {
  const { kind } = probe.place;
  const real = tenants.theirs.names.get(kind);
  if (real === undefined) throw new Error(`the other tenant has no ${kind}: make one in two-tenants.ts`);
  const names = Array.from({ length: count }, (_, index) => {
    const one = real[Math.floor(index / 2) % real.length] ?? "";
    return index % 2 === 0 ? one : strangeLike(one);
  });
  const absent = strangeLike(real[0] ?? "");
  // Beside a name of theirs stands in the path ours, then theirs: as if that were none, either.
  const expected = [
    await answerTo(tenants, probe, absent, (kindOf) => tenants.ours.names.get(kindOf)?.[0] ?? ""),
    await answerTo(tenants, probe, absent, (kindOf) =>
      strangeLike(tenants.theirs.names.get(kindOf)?.[0] ?? ""),
    ),
  ] as const;
  const told = new Set<string>();
  for (let from = 0; from < names.length; from += AT_ONCE) {
    const batch = names.slice(from, from + AT_ONCE).map(async (name, index) => {
      const turn = ((from + index) >> 1) % 2 === 0 ? 0 : 1;
      const beside = turn === 0 ? tenants.ours : tenants.theirs;
      const answer = await answerTo(tenants, probe, name, (kindOf) => beside.names.get(kindOf)?.[0] ?? "");
      const { text } = expected[turn];
      if (answer.text !== text && !MAKES_OUR_OWN.includes(probe.operationId)) {
        told.add(`${name}: ${answer.gist}, and not what one that never was gets`);
      }
      if (MAKES_OUR_OWN.includes(probe.operationId) && answer.status >= 300) told.add(answer.gist);
    });
    await Promise.all(batch);
  }
  return {
    ...{ probe, asked: count, theirs: Math.ceil(count / 2), status: expected[0].status, told: [...told] },
  };
}

/** An id of the same kind, or a name of the same form, that there is not. */
function strangeLike(name: string): string {
  const id = /^(.*_)([0-9a-f]{16,24})$/.exec(name);
  if (id !== null) return `${id[1]}${randomHex(id[2]?.length ?? 0)}`;
  return name.replace(/^theirs/, `never${randomHex(8)}`);
}

/** `beside` names what else stands in the path. */
async function answerTo(tenants: TwoTenants, probe: Probe, name: string, beside: (kind: string) => string) {
  const { place, others, method, template, operationId, scheme } = probe;
  const given = new Map([[place, name]]);
  for (const other of others) {
    const fixed = place.where === "body" ? BODY_PLACES[operationId] : undefined;
    given.set(other, fixed ?? beside(other.kind));
  }
  let target = template;
  for (const [{ where, name: parameter }, value] of given) {
    if (where === "path") target = target.replace(`{${parameter}}`, encodeURIComponent(value));
  }
  if (place.where === "query") target += `?${place.name}=${encodeURIComponent(name)}`;
  const body = { ...BODIES[operationId], ...(place.where === "body" ? membersOf(place.name, name) : {}) };
  const client = await tenants.caller(scheme);
  const isBodied = operationId in BODIES;
  const answer = await client.call(method, target, isBodied ? { body } : {});
  // Without the body: where a defence is broken it may hold what is secret.
  const gist = `${answer.status} ${answer.body.error?.code ?? ""}`.trim();
  return { status: answer.status, gist, text: said(answer, [...given.values()]) };
}

/** `outer.inner` as `{outer: {inner: value}}`. */
function membersOf(name: string, value: string): Record<string, unknown> {
  const [outer = "", ...inner] = name.split(".");
  return { [outer]: inner.length === 0 ? value : membersOf(inner.join("."), value) };
}

/** What an answer says, without what differs between any two and without the names that were asked for. */
function said({ status, headers, body }: ApiAnswer, names: readonly string[]): string {
  const { request_id: _id, instance: _instance, ...rest } = body;
  const kept = [...headers].filter(
    ([name]) => !/^(x-request-id|date|content-length|ratelimit.*)$/i.test(name),
  );
  let text = JSON.stringify([status, kept, rest]);
  for (const name of names) {
    text = text.replaceAll(name, "(name)").replaceAll(encodeURIComponent(name), "(name)");
  }
  return text.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "(time)");
}
