import type { UsagePlaces } from "../budgets/usage.ts";
import type { CallHint } from "./call-hint.ts";

/**
 * Where a provider's own SDK puts the key it was given: where the gateway finds the agent's token. Header names are
 * lower-case; schemes compare without regard to case (RFC 9110, 11.1), and no scheme means the whole value. Under
 * `Basic` the token is the username or the password, whichever has a token's form. A path's prefix is followed by
 * the token up to the next `/`.
 */
export type TokenPlace =
  | { readonly in: "header"; readonly name: string; readonly scheme?: "Bearer" | "Basic" | "Bot" | "token" }
  | { readonly in: "query"; readonly name: string }
  | { readonly in: "path"; readonly prefix: string };

/**
 * A declaration of an upstream API: data, never code. One file per provider in `providers/`.
 */
export interface Provider {
  /** Kebab-case; what a connection names. */
  readonly id: string;
  readonly name: string;
  /**
   * `https://host[/path]`, or null where every customer has a host of their own (then a connection gives it). No path
   * in the catalogue: what follows the connection in a gateway URL is the path in the provider's own documentation.
   */
  readonly baseUrl: string | null;
  /** Hosts its secrets may be sent to if a secret names none itself: exact, or `*.suffix` (one label or more). */
  readonly hosts: readonly string[];
  readonly tokenIn: readonly TokenPlace[];
  /** The credential kind and its options, as in a connection's `credential`. */
  readonly credential: { readonly kind: string } & Readonly<Record<string, unknown>>;
  /** Fixed headers the API needs and its SDKs send anyway; sent only where the client sent none. */
  readonly defaultHeaders?: Readonly<Record<string, string>>;
  /** Where its answers tell what they came to, for prices by model. */
  readonly usage?: UsagePlaces;
  readonly docs: string;
  /** A cheap authenticated request that tells whether a credential works. `path` may carry a query. */
  readonly probe: { readonly method: string; readonly path: string };
  /** What people are told of calls that they are asked to approve; the first that fits one. */
  readonly hints?: readonly CallHint[];
}
