import type { Connection } from "../connections/connection.ts";
import { type Destination, type DestinationRules, parseDestination } from "../connections/destination.ts";
import type { TokenPlace } from "../connections/provider.ts";
import { providers } from "../connections/providers.ts";
import type { CredentialKind } from "../credentials/kind.ts";
import { parseCredential } from "../credentials/kinds.ts";
import { foldName } from "./fold-name.ts";

/** A connection, compiled for calls: parsed and checked once per isolate and version of its configuration. */
export interface Route extends Connection {
  readonly destination: Destination;
  readonly kind: CredentialKind;
  readonly options: unknown;
  readonly tokenIn: readonly TokenPlace[];
  /** Folded names of headers where the credential goes, or where SDKs put their key: none of a client's goes on. */
  readonly strippedHeaders: ReadonlySet<string>;
  readonly defaultHeaders: readonly (readonly [name: string, value: string])[];
}

/** Where the agent's token may stand for a connection that is in no catalogue, beside where its credential goes. */
const ANY_HEADER: readonly TokenPlace[] = [
  { in: "header", name: "authorization", scheme: "Bearer" },
  { in: "header", name: "authorization", scheme: "Basic" },
  { in: "header", name: "x-api-key" },
];
const OTHER_SCHEMES = ["Bot", "token"] as const;

const compiled = new WeakMap<Connection, Route>();

/** Throws DESTINATION_DENIED where the deployment's rules do not (or no longer) allow where the connection leads. */
export function compileRoute(connection: Connection, rules: DestinationRules): Route {
  const known = compiled.get(connection);
  if (known !== undefined) return known;
  const provider = connection.provider === null ? undefined : providers.get(connection.provider);
  const { kind, options } = parseCredential(connection.credential);
  const credentialHeader = kind.header?.(options).toLowerCase();
  const tokenIn = provider?.tokenIn ?? [...ANY_HEADER, ...ownPlace(connection, credentialHeader)];
  const stripped = tokenIn.flatMap((place) => (place.in === "header" ? [place.name] : []));
  if (credentialHeader !== undefined) stripped.push(credentialHeader);
  const route: Route = {
    ...connection,
    destination: parseDestination(connection.baseUrl, rules),
    kind,
    options,
    tokenIn,
    strippedHeaders: new Set(stripped.map((name) => foldName(name.toLowerCase()))),
    defaultHeaders: Object.entries(provider?.defaultHeaders ?? {}),
  };
  compiled.set(connection, route);
  return route;
}

/** A client of such an API puts its key where the connection puts the credential, in the same scheme. */
function ownPlace({ credential }: Connection, header: string | undefined): readonly TokenPlace[] {
  if (header === undefined) return [];
  if (header !== "authorization") return [{ in: "header", name: header }];
  const scheme = OTHER_SCHEMES.find((one) => one.toLowerCase() === String(credential.prefix).toLowerCase());
  return scheme === undefined ? [] : [{ in: "header", name: header, scheme }];
}
