import { Problem } from "../base/problem.ts";
import type { SealedSecret } from "../vault/sealed-secret.ts";
import {
  allowedHostOf,
  type Destination,
  type DestinationRules,
  inDomain,
  isAllowedHost,
  parseDestination,
} from "./destination.ts";
import type { Provider } from "./provider.ts";
import { providers } from "./providers.ts";

/** Checks a `credential` and tells which secrets it needs. Throws VALIDATION_ERROR. `credentials/kinds.ts` has it. */
export type ParseCredential = (credential: unknown) => {
  readonly kind: { readonly kind: string; secretNames(options: unknown): readonly string[] };
  readonly options: unknown;
};

/** How a connection is asked to reach its upstream; left out: as the provider says. */
export interface WantedWay {
  readonly provider: string | null;
  readonly baseUrl: string | undefined;
  readonly credential: Readonly<Record<string, unknown>> | undefined;
  readonly secrets: Readonly<Record<string, string>>;
}

/** How it will reach it: checked, but for whether its secrets may go there. */
export interface Way {
  readonly provider: Provider | null;
  readonly destination: Destination;
  /** Canonical, without a `/` at its end. */
  readonly baseUrl: string;
  readonly credential: Readonly<Record<string, unknown>>;
  readonly secrets: Readonly<Record<string, string>>;
}

/** What decides whether a secret may go somewhere. */
export type SecretTerms = Pick<SealedSecret, "tier" | "allowedHosts" | "redactable">;

/**
 * Throws DESTINATION_DENIED for a base URL that leads where no credential goes (attacks 2–5, 8–13, 16), and
 * VALIDATION_ERROR for a credential that is none or needs other secrets than those given.
 */
export function settleWay(wanted: WantedWay, rules: DestinationRules, parseCredential: ParseCredential): Way {
  const provider = wanted.provider === null ? null : (providers.get(wanted.provider) ?? null);
  const destination = parseDestination(wanted.baseUrl ?? provider?.baseUrl ?? "", rules);
  const given = mergeCredential(provider, wanted.credential);
  const { kind, options } = parseCredential(given);
  const names = kind.secretNames(options);
  const isComplete = names.every((name) => Object.hasOwn(wanted.secrets, name));
  if (!isComplete || Object.keys(wanted.secrets).length !== names.length) {
    const needed = names.map((name) => `"${name}"`).join(" and ");
    throw new Problem("VALIDATION_ERROR", `\`secrets\`: must have a path for ${needed}, and no others.`);
  }
  const baseUrl = `${destination.scheme}://${destination.authority}${destination.basePath}`;
  return {
    provider,
    destination,
    baseUrl,
    credential: { ...given, kind: kind.kind },
    secrets: wanted.secrets,
  };
}

/** Options of the provider's own kind are added to its own; another kind stands for itself. */
function mergeCredential(provider: Provider | null, wanted: WantedWay["credential"] = {}): Way["credential"] {
  const { kind } = wanted;
  const isOwnKind = kind === undefined || kind === provider?.credential.kind;
  return isOwnKind ? { ...provider?.credential, ...wanted } : wanted;
}

/**
 * Whether a secret may be used on a way (design, invariant 4). The answer is null, or the hosts to decide on for a
 * secret that has none yet: the catalogue's, where these are the provider's alone; where every customer has a host of
 * their own, anybody can have one too, and it is the connection's alone (attack 91).
 *
 * `name` is what the credential calls it. Throws SECRET_NOT_FOUND; SECRET_UNUSABLE for what could not be found in a
 * response (attack 44); DESTINATION_DENIED; APPROVAL_REQUIRED where one person would choose the host of a secret above
 * the standard tier.
 */
export function settleHosts(way: Way, name: string, secret: SecretTerms | null): readonly string[] | null {
  const { provider, destination } = way;
  if (secret === null) {
    throw new Problem("SECRET_NOT_FOUND", `There is no secret at the path given as \`${name}\`.`, {
      why: "Store it first: PUT /v1/secrets/{path}.",
    });
  }
  if (!secret.redactable) {
    throw new Problem(
      "SECRET_UNUSABLE",
      `The secret given as \`${name}\` could not be kept out of responses.`,
      {
        why: "It is shorter than 8 bytes or repeats itself. Store a longer credential.",
      },
    );
  }
  const denied = new Problem("DESTINATION_DENIED", `The secret given as \`${name}\` may not be sent there.`, {
    why: `Put "${allowedHostOf(destination)}" into the secret's \`allowed_hosts\`: PUT /v1/secrets/{path}.`,
  });
  if (secret.allowedHosts !== null) {
    if (isAllowedHost(destination, secret.allowedHosts)) return null;
    throw denied;
  }
  if (provider === null || !isProviders(destination, provider)) throw denied;
  if (provider.baseUrl !== null && !provider.hosts.some((host) => host.startsWith("*.")))
    return provider.hosts;
  if (secret.tier === "standard") return [destination.authority];
  throw new Problem(
    "APPROVAL_REQUIRED",
    `Choosing where a ${secret.tier} secret is sent needs a second person.`,
    {
      why: "Make a new secret that has its `allowed_hosts` from the start, and connect that one.",
    },
  );
}

/** Whether the catalogue gives the destination to the provider: port 443 of one of its hosts. */
function isProviders({ scheme, host, port }: Destination, provider: Provider): boolean {
  if (scheme !== "https" || port !== 443) return false;
  return provider.hosts.some((pattern) => {
    const suffix = pattern.startsWith("*.") ? pattern.slice(2) : null;
    return suffix === null ? host === pattern : host !== suffix && inDomain(host, suffix);
  });
}

/** Nobody alone moves a connection of a secret above the standard tier to another host (attack 91). */
export function checkMove(
  before: { readonly baseUrl: string },
  after: Way,
  secrets: readonly (SecretTerms | null)[],
): void {
  if (new URL(before.baseUrl).origin === new URL(after.baseUrl).origin) return;
  const strict = secrets.find((secret) => secret !== null && secret.tier !== "standard");
  if (strict === undefined || strict === null) return;
  throw new Problem(
    "APPROVAL_REQUIRED",
    `Moving a connection of a ${strict.tier} secret to another host needs a second person.`,
    {
      why: "Keep the host as it is, or make another connection to a host that the secret allows.",
    },
  );
}
