import type { Access } from "../base/endpoint.ts";

/** Credentials, all of them in `Authorization: Bearer …` but for a session's. */
export const SECURITY_SCHEMES = {
  member: {
    type: "http",
    scheme: "bearer",
    bearerFormat: "vkm_…",
    description: "A member's credential.",
  },
  agentKey: {
    type: "http",
    scheme: "bearer",
    bearerFormat: "vka_…",
    description: "An agent's key, with which it asks for tokens.",
  },
  scopedToken: {
    type: "http",
    scheme: "bearer",
    bearerFormat: "vkt_…",
    description: "A scoped token. Where a scope is named it is charged one use.",
  },
  bootstrap: {
    type: "http",
    scheme: "bearer",
    bearerFormat: "vkb_…",
    description: "The deployment's bootstrap credential, or a new tenant's. Works once.",
  },
  operator: {
    type: "http",
    scheme: "bearer",
    bearerFormat: "vko_…",
    description: "The operator's credential, which makes tenants and nothing else.",
  },
  idToken: {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
    description: "An ID token of one of the tenant's identity providers, for a person's scripts.",
  },
  session: {
    type: "apiKey",
    in: "cookie",
    name: "__Host-valetkey-session",
    description: "A person's session. Changes need an `Origin` that is the gateway's own.",
  },
} as const;

type Scheme = keyof typeof SECURITY_SCHEMES;

/** One of the alternatives; none at all where everyone may call. */
export function securityOf(access: Access): readonly Readonly<Partial<Record<Scheme, readonly string[]>>>[] {
  if (access === "public") return [];
  if (access === "bootstrap") return [{ bootstrap: [] }];
  if (access === "operator") return [{ operator: [] }];
  if (access === "any") return [...people([]), { agentKey: [] }, { scopedToken: [] }];
  return [
    ...(access.roles === undefined ? [] : people(access.roles)),
    ...(access.agent ? [{ agentKey: [] }] : []),
    ...(access.token === undefined
      ? []
      : [{ scopedToken: access.token === true ? [] : [scopeText(access.token)] }]),
  ];
}

/** A member, by credential, ID token or session. */
function people(roles: readonly string[]) {
  return [{ member: roles }, { idToken: roles }, { session: roles }];
}

/** Who may call, as a sentence. */
export function whoMay(access: Access): string {
  if (access === "public") return "**Who:** anyone.";
  if (access === "bootstrap") return "**Who:** whoever holds the bootstrap credential.";
  if (access === "operator") return "**Who:** the deployment's operator.";
  if (access === "any") return "**Who:** any live credential.";
  const { roles, person, agent, token } = access;
  const who = [
    ...(roles === undefined
      ? []
      : [`members with the role ${roles.join(" or ")}${person ? ", in person" : ""}`]),
    ...(agent ? ["agent keys"] : []),
    ...(token === true ? ["scoped tokens"] : []),
    ...(typeof token === "object" ? [`tokens with a scope \`${scopeText(token)}\``] : []),
  ];
  return `**Who:** ${who.join("; ")}.`;
}

function scopeText({ resource, action }: { readonly resource: string; readonly action: string }): string {
  return resource === "namespaces" ? "namespaces:read" : `${resource}:${action}:…`;
}
